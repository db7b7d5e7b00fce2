"""Files that appear whole or not at all, so that a killed run never leaves half a result."""

from __future__ import annotations

import json
import math
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import BadInput


@contextmanager
def atomic_write(path) -> Iterator[Path]:
    """Write a file under a temporary name and give it its own name only when it is complete.

    Parameters
    ----------
    path : path-like
        Where the file shall be. A symbolic link is followed. A device or a pipe, which cannot be
        replaced, is written in place.

    Yields
    ------
    pathlib.Path
        An existing, empty file in the same folder, with the same endings as ``path``. It is renamed
        on success, replacing any earlier file, and removed if the body raises.

    Raises
    ------
    BadInput
        ``path`` cannot be written: it is a folder, its folder is missing or closed to us, the disk
        is full. Any ``OSError`` of the body counts as this: it should do nothing but write.
    """
    path = Path(path)
    if path.is_dir():
        raise BadInput(f"{path} is a folder, not a file to write.")
    if path.exists() and not path.is_file():
        yield path
        return
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{secrets.token_hex(4)}.{target.name}")
    try:
        try:
            temporary.touch(exist_ok=False)
            yield temporary
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {_reason(error)}.") from error


def require_writable(path) -> None:
    """Raise BadInput unless ``atomic_write(path)`` is going to work: for before long work."""
    path = Path(path)
    if path.is_dir():
        raise BadInput(f"{path} is a folder, not a file to write.")
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise BadInput(f"{path} cannot be written: there is no folder {folder}.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(f"{path} cannot be written: permission denied.")


def write_json(path, content: dict) -> None:
    """Write a dictionary as JSON, atomically.

    Numpy scalars and arrays become numbers and lists. JSON knows no infinity and no NaN: they
    become ``null`` (the PSNR of two identical images, for example).
    """
    text = json.dumps(_plain(content), indent=2, allow_nan=False) + "\n"
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower().rstrip(".")


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if hasattr(value, "tolist"):  # a numpy array or scalar
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def make_folder(path: str | Path) -> Path:
    """A folder to write into, made if there is none; BadInput if that cannot be."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise BadInput(f"{path} is a file, not a folder.") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be made: {error.strerror}.") from None
    return path
