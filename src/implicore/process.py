"""External tools: running one, and reporting its failure."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .errors import BadInput

LOG_LINES = 12
"""Lines of a failed tool's log that the error shows."""


class ToolFailed(BadInput):
    """An external tool failed; the message names it and ends with the last lines of its log.

    It is a ``BadInput`` because the usual cause is an incomplete installation, not an error in
    implicore: the command line shows the message without a traceback.
    """


@dataclass(frozen=True)
class Tool:
    """An installed program.

    Attributes
    ----------
    command : str
    version : str
    environment : dict
        Variables that it needs in addition to the environment of this process.
    """

    command: str
    version: str
    environment: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def activated(self) -> Iterator[None]:
        """Set the tool's variables in this process, for libraries that read them only there."""
        before = {name: os.environ.get(name) for name in self.environment}
        os.environ.update(self.environment)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def run(command: list, folder: Path, tool: Tool | None = None, *, name: str | None = None) -> None:
    """Run one step of a tool in a folder and keep its output there, in ``<name>.log``.

    Parameters
    ----------
    command : list
    folder : Path
        Working directory.
    tool : Tool, optional
        The tool whose environment the command needs.
    name : str, optional
        Name of the tool, if it differs from the command's.

    Raises
    ------
    ToolFailed
        The command returned a non-zero exit code.
    """
    name = name or Path(command[0]).name
    log = folder / f"{name}.log"
    environment = {**os.environ, **(tool.environment if tool else {})}
    with open(log, "w", encoding="utf-8") as output:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        command_line = " ".join(map(str, command))
        head = f"{name} failed ({done.returncode}): {command_line}"
        raise ToolFailed("\n".join([head, *log_lines(log)[-LOG_LINES:]]))


def log_lines(log: Path) -> list[str]:
    """Return the lines of a log file, or an empty list if it does not exist."""
    if not log.is_file():
        return []
    return log.read_text(encoding="utf-8", errors="replace").splitlines()
