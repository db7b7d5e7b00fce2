import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from implicore.accelerator_config import ACCELERATORS
from implicore.errors import BadInput
from implicore.sim import simulators


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    """Nothing found or built before."""
    monkeypatch.setenv("IMPLICORE_CACHE", str(tmp_path / "cache"))
    for find in (simulators.find_icarus, simulators.find_verilator):
        find.cache_clear()
    yield
    for find in (simulators.find_icarus, simulators.find_verilator):
        find.cache_clear()


def script(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def only(monkeypatch, folder: Path) -> None:
    monkeypatch.setenv("PATH", str(folder))


def test_missing_simulators(monkeypatch, tmp_path):
    only(monkeypatch, tmp_path)
    with pytest.raises(BadInput, match=r"^Icarus Verilog is not installed: apt-get install"):
        simulators.find_icarus()
    with pytest.raises(BadInput, match=r"^Verilator needs make: apt-get install make"):
        simulators.find_verilator()
    for name in ("make", "c++", "perl"):
        script(tmp_path, name, "")
    monkeypatch.setattr(simulators, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"^Verilator 5\.036 or newer is not installed: pip install"):
        simulators.find_verilator()


@pytest.mark.parametrize(("version", "used"), [("5.006", False), ("5.036", True), ("6.1", True)])
def test_a_system_verilator_is_used_if_it_is_new_enough(monkeypatch, tmp_path, version, used):
    folder = tmp_path / "bin"
    script(folder, "verilator", f"echo Verilator {version} 2030-01-01 rev x")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    found = simulators.find_verilator()
    assert (found.command == str(folder / "verilator")) == used
    if used:
        assert found.version == version and not found.environment
    else:
        assert (
            found.version == metadata.version("verilator") and "VERILATOR_ROOT" in found.environment
        )


def test_package_launcher_is_not_a_system_verilator(monkeypatch):
    folder = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    assert simulators.find_verilator().command != str(folder / "verilator")


def test_icarus_is_found():
    assert simulators.find_icarus().version.startswith(("10", "11", "12", "13"))


def test_changed_generator_generates_the_verilog_again(monkeypatch):
    files = simulators.verilog(ACCELERATORS["tiny"])
    monkeypatch.setattr(simulators, "source_digest", lambda *names: f"changed {names}")
    again = simulators.verilog(ACCELERATORS["tiny"])
    assert again != files and again == simulators.verilog(ACCELERATORS["tiny"])
    assert [path.read_text() for path in again] == [path.read_text() for path in files]


def test_verilog_is_generated_once_and_compiles(tmp_path):
    files = simulators.verilog(ACCELERATORS["tiny"])
    times = [path.stat().st_mtime_ns for path in files]
    assert simulators.verilog(ACCELERATORS["tiny"]) == files
    assert [path.stat().st_mtime_ns for path in files] == times
    assert simulators.verilog(ACCELERATORS["small"]) != files
    command = ["iverilog", "-g2005", "-o", str(tmp_path / "a"), *map(str, files)]
    subprocess.run(command, check=True)
