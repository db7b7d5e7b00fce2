"""What a sweep has found so far: a file that only grows, one line a finding.

A killed sweep leaves at most its last line incomplete; whoever goes on cuts that off.
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
    """The journal of a folder, open for writing by one sweep at a time.

    Parameters
    ----------
    folder : Path
    digest : str
        Of the sweep: another one must not go on here.
    resume : bool
        Go on with what is there.

    Attributes
    ----------
    found : dict of (str, str) to dict
        What was found, by stage and point.

    Raises
    ------
    BadInput
        Something is there and not to be gone on with, or is another sweep's.
    """

    def __init__(self, folder: Path, digest: str, *, resume: bool):
        self.found: dict[tuple[str, str], dict] = {}
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
            raise BadInput(f"Another sweep is at work in {folder}.")
        self._file.seek(0)
        content = self._file.read()
        whole = content[: content.rfind(b"\n") + 1]
        if whole.count(b"\n") <= 1:  # a sweep that found nothing yet keeps nobody away
            self._file.truncate(0)
            self._write([{"sweep": digest, "version": VERSION}])
            return
        if not resume:
            raise BadInput(f"{folder} holds a sweep already: go on with --resume, or name another.")
        try:
            first, *records = [json.loads(line) for line in whole.splitlines()]
            self.found = {(record["stage"], record["point"]): record for record in records}
            same = first["sweep"] == digest and first["version"] == VERSION
        except (ValueError, KeyError, TypeError):
            raise BadInput(f"{folder / NAME} is damaged: sweep into another folder.") from None
        if not same:
            raise BadInput(
                f"The sweep in {folder} is another one: its description or what it names has "
                "changed since; sweep into another folder."
            )
        self._file.truncate(len(whole))

    def add(self, records: Iterable[dict]) -> None:
        """Write findings, each with its ``stage`` and ``point``; they outlive the process."""
        records = [{name: _plain(value) for name, value in one.items()} for one in records]
        self._write(records)
        self.found.update({(record["stage"], record["point"]): record for record in records})

    def close(self) -> None:
        """Let another sweep go on."""
        self._file.close()

    def _write(self, records: list[dict]) -> None:
        lines = "".join(json.dumps(record, allow_nan=False) + "\n" for record in records)
        self._file.write(lines.encode())
        self._file.flush()
        os.fsync(self._file.fileno())


def _plain(value):
    """JSON knows no infinity and no NaN: none."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
