"""Cache of build results, keyed by the content of their inputs.

A result is a folder whose name contains a digest of everything it was made from. A second run with
the same inputs reuses it; changed inputs make a new one. The cache may be deleted at any time.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from .digest import json_digest
from .errors import BadInput
from .lock import lock

VALUE = "value.json"
"""File that holds the value of ``cached_json``."""


def cache_folder() -> Path:
    """Return the cache: ``$IMPLICORE_CACHE``, else ``implicore`` in the user's cache folder."""
    if chosen := os.environ.get("IMPLICORE_CACHE"):
        return Path(chosen).absolute()  # tools run in other working directories
    user_cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(user_cache).absolute() / "implicore"


def cached(name: str, inputs: object, make: Callable[[Path], None]) -> Path:
    """Return the folder that ``make`` fills from ``inputs``; reuse it if it is in the cache.

    Parameters
    ----------
    name : str
        Prefix of the folder's name.
    inputs : JSON-serializable, with any Path
        Everything that the result depends on. A Path stands for the content of that file,
        wherever the file is.
    make : function of a Path
        Fills an empty folder, which is renamed when complete. Concurrent callers with the same
        inputs wait for the first one.

    Raises
    ------
    BadInput
        The cache cannot be written.
    """
    folder = cache_folder() / f"{name}-{json_digest(inputs)[:20]}"
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        file = open(folder.with_suffix(".lock"), "w")  # noqa: SIM115 - closed below
    except OSError as error:
        raise BadInput(
            f"The cache {folder.parent} cannot be written ({error.strerror}): "
            "set IMPLICORE_CACHE to a writable folder."
        ) from None
    with file:
        lock(file)
        if not folder.is_dir():
            temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{name}-"))
            try:
                make(temporary)
                temporary.rename(folder)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    return folder


def cached_json(name: str, inputs: object, compute: Callable[[], object]) -> object:
    """Return the JSON-serializable value that ``compute`` returns; reuse it if it is in the cache.

    Parameters and errors are as for ``cached``. Floats are returned exactly, tuples as lists.
    """

    def make(folder: Path) -> None:
        (folder / VALUE).write_text(json.dumps(compute()), encoding="utf-8")

    return json.loads((cached(name, inputs, make) / VALUE).read_text(encoding="utf-8"))
