"""Digests of files and of implicore's own source, for the keys of cached results."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

SUFFIXES = (".py", ".cpp", ".h", ".toml")
"""Suffixes of the source files that results depend on."""

LAYERS = {
    "implicore.cli",
    "implicore.demo",
    "implicore.hw",
    "implicore.model",
    "implicore.sim",
    "implicore.synth",
    "implicore.synth.explore",
    "implicore.synth.report",
}
"""Subpackages that their parent does not import; each has a separate source digest."""

STARTED = time.time()
"""When this process imported implicore. It does not run what is written to a file after that."""


def json_digest(content: object) -> str:
    """Return the SHA-256 of JSON-serializable content; a Path stands for the content there."""
    text = json.dumps(content, sort_keys=True, default=path_digest)
    return hashlib.sha256(text.encode()).hexdigest()


def path_digest(path: str | Path) -> str:
    """Return the SHA-256 of a file, or of a folder's files and their relative names.

    It does not depend on the location. Raises FileNotFoundError if the path does not exist.
    """
    path = Path(path)
    if not path.is_dir():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return json_digest([[file.relative_to(path).as_posix(), file] for file in files])


def source_digest(*names: str) -> str:
    """Return a digest of the source files of packages and modules.

    A package includes its subpackages, except those in ``LAYERS``. The digest depends on the
    files' names in the package and on their contents, not on where they are installed. If a file
    has changed since this process started, the digest is unique to this process: a process that
    runs the new files must not reuse the results of the old code in memory.

    Parameters
    ----------
    *names : str
        Dotted names of packages or modules.
    """
    files = [(file, path) for name in names for file, path in _source_files(name)]
    changed = any(path.stat().st_mtime > STARTED for _, path in files)
    return json_digest([sorted(files), STARTED if changed else None])


def _source_files(name: str) -> Iterator[tuple[str, Path]]:
    """Yield each source file's dotted name, with its suffix, and its path."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"There is no package or module {name}.")
    origin = Path(spec.origin)
    if spec.submodule_search_locations is None:
        yield f"{name}{origin.suffix}", origin
        return
    for path in origin.parent.rglob("*"):
        if path.suffix not in SUFFIXES:
            continue
        parts = path.relative_to(origin.parent).with_suffix("").parts
        dotted = [".".join([name, *parts[: depth + 1]]) for depth in range(len(parts))]
        if LAYERS.isdisjoint(dotted):
            yield f"{dotted[-1]}{path.suffix}", path
