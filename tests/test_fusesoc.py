"""The `.core` file, by FuseSoC itself: the commands of docs/fpga.md."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from implicore.accelerator_config import ACCELERATORS
from implicore.hw.verilog import PREFIX, generate
from implicore.sim.simulators import find_verilator

pytestmark = pytest.mark.skipif(
    find_spec("fusesoc") is None, reason="fusesoc is not installed: pip install 'implicore[test]'"
)


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    folder = tmp_path_factory.mktemp("core")
    generate(ACCELERATORS["tiny"], folder)
    return folder


def fusesoc(folder: Path, *arguments) -> subprocess.CompletedProcess:
    """Run a command of FuseSoC in a workspace, with Verilator on the path."""
    verilator = find_verilator()
    environment = {**os.environ, **verilator.environment}
    # `verilator` is what the build that FuseSoC writes calls.
    path = environment["PATH"]
    environment["PATH"] = f"{Path(verilator.command).parent}{os.pathsep}{path}"
    command = [sys.executable, "-m", "fusesoc.main", *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def lint(core: Path, workspace: Path) -> subprocess.CompletedProcess:
    added = fusesoc(workspace, "library", "add", PREFIX, core)
    assert added.returncode == 0, added.stderr
    return fusesoc(workspace, "run", "--target=lint", PREFIX)


def test_library_and_lint(core, tmp_path):
    done = lint(core, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr
    assert "-Wall" in next(tmp_path.rglob("*.vc")).read_text()
    shown = fusesoc(tmp_path, "core", "show", PREFIX)
    assert "lint" in shown.stdout


def test_lint_fails_on_a_warning(core, tmp_path):
    """FuseSoC runs Verilator on the Verilog and fails on its warnings."""
    broken = tmp_path / "core"
    broken.mkdir()
    for path in core.iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    memories = broken / f"{PREFIX}_memories.v"
    memories.write_text(memories.read_text().replace("<= write_data;", "= write_data;"))
    done = lint(broken, tmp_path)
    assert done.returncode != 0
    assert "BLKSEQ" in done.stdout + done.stderr
