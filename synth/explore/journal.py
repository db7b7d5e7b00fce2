"""The journal of a sweep: an append-only file with one line for each record.

A killed sweep leaves at most its last line incomplete. Resuming removes that line.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from pathlib import Path

from implicore.errors import BadInput
from implicore.lock import lock

NAME = "journal.jsonl"
VERSION = 1


class Journal:
    """The journal in a folder, open for writing by one sweep at a time.

    Parameters
    ----------
    folder : Path
    digest : str
        Digest of the sweep. A sweep with another digest must not continue the journal.
    resume : bool
        Continue an existing journal.

    Attributes
    ----------
    records : dict of (str, str) to dict
        Records by stage and point.

    Raises
    ------
    BadInput
        The folder has a journal with records and ``resume`` is False, or the journal belongs to
        another sweep, is in use, is damaged or cannot be written.
    """

    def __init__(self, folder: Path, digest: str, *, resume: bool):
        self.records: dict[tuple[str, str], dict] = {}
        path = folder / NAME
        try:
            self._file = open(path, "a+b")  # noqa: SIM115 - open until the sweep ends
        except OSError as error:
            raise BadInput(f"{path} cannot be written: {error.strerror}.") from None
        try:
            self._begin(folder, digest, resume)
        except BaseException:
            self._file.close()
            raise

    def _begin(self, folder: Path, digest: str, resume: bool) -> None:
        if not lock(self._file, wait=False):
            raise BadInput(f"Another sweep is running in {folder}: wait for it or stop it.")
        self._file.seek(0)
        content = self._file.read()
        complete = content[: content.rfind(b"\n") + 1]
        if complete.count(b"\n") <= 1:  # a journal without records may be overwritten
            self._file.truncate(0)
            self._write([{"sweep": digest, "version": VERSION}])
            return
        if not resume:
            raise BadInput(
                f"{folder} already holds a sweep: continue it with --resume or name another folder."
            )
        try:
            first, *records = [json.loads(line) for line in complete.splitlines()]
            self.records = {(record["stage"], record["point"]): record for record in records}
            same = first["sweep"] == digest and first["version"] == VERSION
        except (ValueError, KeyError, TypeError):
            raise BadInput(f"{folder / NAME} is damaged: sweep into another folder.") from None
        if not same:
            raise BadInput(
                f"{folder} holds another sweep: the description or a file that it names has "
                "changed; sweep into another folder."
            )
        self._file.truncate(len(complete))

    def add(self, records: Iterable[dict]) -> None:
        """Append records, each with its ``stage`` and ``point``, and sync them to the disk."""
        records = [{name: _plain(value) for name, value in record.items()} for record in records]
        self._write(records)
        self.records.update({(record["stage"], record["point"]): record for record in records})

    def close(self) -> None:
        """Close the file, which releases its lock."""
        self._file.close()

    def _write(self, records: list[dict]) -> None:
        lines = "".join(json.dumps(record, allow_nan=False) + "\n" for record in records)
        self._file.write(lines.encode())
        self._file.flush()
        os.fsync(self._file.fileno())


def _plain(value):
    """Return None for infinity and NaN, which JSON cannot represent, else the value."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
