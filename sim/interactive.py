"""A simulator that exchanges bytes with Python over its pipes while it runs."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from implicore.process import ToolFailed


class InteractiveSimulator:
    """A simulator process with a pipe in each direction; a context manager.

    Parameters
    ----------
    command : sequence
        The program and its arguments.
    """

    def __init__(self, command: Sequence):
        pipe = subprocess.PIPE
        words = [str(word) for word in command]
        self._process = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe)

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def send(self, data: bytes) -> None:
        """Send bytes; ToolFailed if the process has ended."""
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._failure() from None

    def receive(self, count: int) -> bytes:
        """Wait for ``count`` bytes and return them; ToolFailed if the process ends before."""
        data = self._process.stdout.read(count)
        if len(data) < count:
            raise self._failure()
        return data

    def finish(self) -> bytes:
        """Close the input, wait for the end of the process, and return what it still sends."""
        self._process.stdin.close()
        data = self._process.stdout.read()
        if self._process.wait():
            raise self._failure()
        return data

    def _failure(self) -> ToolFailed:
        message = self._process.stderr.read().decode(errors="replace").strip()
        return ToolFailed(f"The simulator ended early: {message or 'it printed no message'}.")

    def close(self) -> None:
        """Kill the process."""
        self._process.kill()
        if not self._process.stdin.closed:
            self._process.communicate()

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()
