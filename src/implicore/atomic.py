"""Atomic writing: a file appears complete or not at all, even if the process is killed."""

from __future__ import annotations

import json
import math
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import BadInput


@contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[Path]:
    """Write a file under a temporary name and rename it when it is complete.

    Parameters
    ----------
    path : path-like
        Destination. A symbolic link is followed. A device or a pipe cannot be replaced and is
        written in place.

    Yields
    ------
    pathlib.Path
        An empty file in the same folder, with the same suffixes as ``path``. It is renamed to
        ``path`` on success, replacing an earlier file, and removed if the body raises.

    Raises
    ------
    BadInput
        ``path`` cannot be written: it is a folder, its folder does not exist or is read-only, or
        the disk is full. Every ``OSError`` that the body raises is reported as ``BadInput``, so
        the body should only write.
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


def require_writable(path: str | os.PathLike) -> None:
    """Raise BadInput if ``atomic_write(path)`` would fail; call it before long work."""
    path = Path(path)
    if path.is_dir():
        raise BadInput(f"{path} is a folder, not a file to write.")
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise BadInput(f"{path} cannot be written: there is no folder {folder}.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(f"{path} cannot be written: permission denied.")


def write_json(path: str | os.PathLike, content: dict) -> None:
    """Write a dictionary as JSON, atomically.

    Numpy scalars and arrays become numbers and lists. Infinity and NaN, which JSON cannot express,
    become ``null``: the PSNR of two identical images, for example.
    """
    text = json.dumps(_plain(content), indent=2, allow_nan=False) + "\n"
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower().rstrip(".")


def _plain(value: Any) -> Any:
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
    """Create the folder ``path`` if it does not exist, and return it; BadInput if that fails."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise BadInput(f"{path} is a file, not a folder.") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be created: {error.strerror}.") from None
    return path
