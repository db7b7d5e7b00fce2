"""What goes beside the Verilog is enough: it is run without implicore on the path."""

import ast
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from implicore.accelerator_config import ACCELERATORS, AcceleratorConfig
from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.network_shape import NetworkShape
from implicore.random_program import random_program
from implicore.sim import simulators
from implicore.sim.bundle import smallest_shape, write_tests

SHAPE = NetworkShape(3, 6, 4, (3,))
CONFIG = AcceleratorConfig.sized(2, 3, Formats.parse("w6a8m2"), [SHAPE])


@pytest.fixture
def folder(tmp_path):
    for path in simulators.verilog(CONFIG):
        (tmp_path / path.name).write_text(path.read_text())
    write_tests(tmp_path, CONFIG)
    return tmp_path


def test_bundle_of_hardware_for_patches(tmp_path):
    shape = NetworkShape(3, 5, 3, (2,), outputs=6)
    config = AcceleratorConfig.sized(2, 3, Formats.parse("w6a8m2"), [shape])
    config = replace(config, voxels_per_beat=4)
    assert smallest_shape(config).outputs == 5
    for path in simulators.verilog(config):
        (tmp_path / path.name).write_text(path.read_text())
    write_tests(tmp_path, config)
    done = run(tmp_path, "icarus")
    assert done.stdout.endswith("PASSED\n"), done.stdout[-2000:] + done.stderr[-2000:]


def run(folder: Path, simulator: str) -> subprocess.CompletedProcess:
    # -P and -s would not keep an installed implicore away: a module that cannot be imported does.
    (folder / "implicore.py").write_text("raise ImportError('the bundle needs implicore')\n")
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    environment.pop("PYTEST_CURRENT_TEST", None)
    command = [sys.executable, "tests/run.py", simulator]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("simulator", ["icarus", pytest.param("verilator", marks=pytest.mark.slow)])
def test_bundle_runs_without_implicore_and_detects_an_edit(folder, simulator):
    done = run(folder, simulator)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert done.stdout.endswith("PASSED\n")
    memories = folder / "implicore_memories.v"
    edited = memories.read_text().replace("words[write_address] <=", "words[0] <=", 1)
    memories.write_text(edited)
    done = run(folder, simulator)
    assert done.returncode == 1 and done.stdout.endswith("FAILED\n")


def test_bundle_files(folder):
    tests = folder / "tests"
    names = {str(path.relative_to(tests)) for path in tests.rglob("*") if path.is_file()}
    vectors = {
        f"{name}/{file}" for name in ("exact", "stalled") for file in ("session", "expected")
    }
    assert names == {"run.py", "accelerator_bench.py", *vectors}
    for name in ("run.py", "accelerator_bench.py"):
        text = (tests / name).read_text()
        ast.parse(text)
        assert str(Path(__file__).parent.parent) not in text
    bench = (tests / "accelerator_bench.py").read_text()
    assert "session.py" not in bench and "Decode      4 limit limit count" in bench


def test_bundle_decodes_a_given_program(tmp_path):
    program = random_program(SHAPE, CONFIG.formats, seed=7)
    written = write_tests(tmp_path, CONFIG, program)
    assert all((tmp_path / name).is_file() for name in written) and len(written) == 6
    with pytest.raises(BadInput, match="^The program does not fit the accelerator"):
        write_tests(tmp_path, ACCELERATORS["paper"], program)


@pytest.mark.parametrize("name", ACCELERATORS)
def test_smallest_network_fits_every_preset(name):
    config = ACCELERATORS[name]
    config.check_fits(random_program(smallest_shape(config), config.formats))


def test_smallest_network_fits_the_smallest_accelerator():
    config = AcceleratorConfig(1, 1, Formats(8, 8), 1, 1, 1, 2, 1)
    config.check_fits(random_program(smallest_shape(config), config.formats))
