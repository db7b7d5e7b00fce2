"""Run Yosys, from the package ``pyosys``, in a process of its own.

python -m implicore.synth.yosys SCRIPT [SECONDS]
"""

from __future__ import annotations

import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from implicore.errors import BadInput
from implicore.process import run


def version() -> str:
    """Return the version of Yosys; BadInput with the command that installs it if it is missing."""
    if find_spec("pyosys") is None:
        raise BadInput("Synthesis needs pyosys: pip install 'implicore[synth]'.")
    return metadata.version("pyosys")


def yosys(script: str, folder: Path, *, limit_s: int | None = None) -> None:
    """Run a script in a folder, which keeps script and log; ToolFailed if it fails.

    After ``limit_s`` seconds of processor time, the signal SIGXCPU ends the process.
    """
    version()
    (folder / "yosys.ys").write_text(script, encoding="utf-8")
    limit = [] if limit_s is None else [limit_s]
    run([sys.executable, "-m", __name__, "yosys.ys", *limit], folder, name="yosys")


if __name__ == "__main__":
    import resource

    from pyosys import libyosys

    for seconds in map(int, sys.argv[2:]):
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 10))
    libyosys.run_pass(f"script {sys.argv[1]}", libyosys.Design())
