"""A simulator that is asked and answers, for as long as somebody has questions."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from implicore.process import ToolFailed


class Dialogue:
    """A process with a line in either direction; a context manager.

    Parameters
    ----------
    command : sequence
        Its program and arguments.
    """

    def __init__(self, command: Sequence):
        pipe = subprocess.PIPE
        words = [str(word) for word in command]
        self._process = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe)

    def tell(self, data: bytes) -> None:
        """Give it bytes; ToolFailed if it has ended."""
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._broken_off() from None

    def hear(self, count: int) -> bytes:
        """So many bytes from it, whenever they come; ToolFailed if it has ended."""
        data = self._process.stdout.read(count)
        if len(data) < count:
            raise self._broken_off()
        return data

    def _broken_off(self) -> ToolFailed:
        said = self._process.stderr.read().decode(errors="replace").strip()
        return ToolFailed(f"The simulator broke off: {said or 'it said nothing'}.")

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()
