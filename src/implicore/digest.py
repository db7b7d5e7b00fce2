"""Digests of files and of implicore's own source, for the keys of cached results."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


def path_digest(path: str | Path) -> str:
    """Return the SHA-256 of a file, or of a folder's files and their relative names.

    It does not depend on where the path lies. Raises FileNotFoundError if there is nothing.
    """
    path = Path(path)
    if not path.is_dir():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return json_digest([[file.relative_to(path).as_posix(), path_digest(file)] for file in files])


def json_digest(content: object) -> str:
    """Return the SHA-256 of JSON-serializable content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
