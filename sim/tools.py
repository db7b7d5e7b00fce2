"""Running other people's tools, and keeping what they built.

A build lies in the cache folder under a name made of everything that went into it, so that a
second run finds it and a changed line makes another one. Removing the folder is always safe.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from implicore.errors import BadInput

LOG_LINES = 12
"""Of a failed tool's log, shown with the error."""


class ToolFailed(BadInput):
    """A tool that should have worked did not; the message names it and ends with its log.

    A ``BadInput``, so that nobody is shown a traceback: most often the tool is not whole.
    """


@dataclass(frozen=True)
class Tool:
    """A program that can be run.

    Attributes
    ----------
    command : str
    version : str
    environment : dict
        What it needs beside the process's own environment.
    """

    command: str
    version: str
    environment: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def at_hand(self) -> Iterator[None]:
        """Within, the process's own environment is the tool's: some libraries look only there."""
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


def cache_folder() -> Path:
    """Where builds are kept: ``$IMPLICORE_CACHE``, else ``implicore`` in the user's cache."""
    if chosen := os.environ.get("IMPLICORE_CACHE"):
        return Path(chosen).absolute()  # tools run in folders of their own
    users = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(users).absolute() / "implicore"


def cached(name: str, inputs: object, make: Callable[[Path], None]) -> Path:
    """The folder that ``make`` filled from ``inputs``, now or at any time before.

    Parameters
    ----------
    name : str
        What is built, for people who look into the cache.
    inputs : anything JSON knows, or a Path to be read
        All that the result depends on.
    make : function of a folder
        Fills it. It is moved to its place when complete, so nobody ever sees half a build.
    """
    text = json.dumps(inputs, sort_keys=True, default=lambda path: _content(Path(path)))
    folder = cache_folder() / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:20]}"
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = open(folder.with_suffix(".lock"), "w")  # noqa: SIM115 - closed below
    except OSError as error:
        raise BadInput(
            f"The cache {folder.parent} cannot be written ({error.strerror}): "
            "set IMPLICORE_CACHE to a folder that can."
        ) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # whoever wants the same waits for the first to make it
        if not folder.is_dir():
            draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{name}-"))
            try:
                make(draft)
                draft.rename(folder)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
    return folder


def _content(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run(command: list, folder: Path, tool: Tool | None = None, *, name: str | None = None) -> None:
    """One step of a tool in a folder of its own, its log kept there; ToolFailed if it fails.

    Parameters
    ----------
    command : list
    folder : Path
    tool : Tool, optional
        Whose environment the command needs.
    name : str, optional
        What people call the tool, if it is not the command's.
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
        raise ToolFailed(failure(command, done.returncode, log))


def failure(command: list, code: int, log: Path) -> str:
    """What went wrong: tool, exit code, command and the end of its log."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
    whole = " ".join(map(str, command))
    return "\n".join([f"{log.stem} failed ({code}): {whole}", *lines])
