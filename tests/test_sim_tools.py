import os
from concurrent.futures import ThreadPoolExecutor
from time import sleep

import pytest

from implicore.errors import BadInput
from implicore.sim import tools


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    """Nothing built before."""
    monkeypatch.setenv("IMPLICORE_CACHE", str(tmp_path / "cache"))


def test_a_build_is_made_once(tmp_path):
    made = []

    def make(folder):
        made.append(folder)
        (folder / "result").write_text("x")

    source = tmp_path / "source"
    source.write_text("1")
    first = tools.cached("thing", [source, {"a": 1}], make)
    assert tools.cached("thing", [source, {"a": 1}], make) == first and len(made) == 1
    assert (first / "result").read_text() == "x"
    source.write_text("2")
    assert tools.cached("thing", [source, {"a": 1}], make) != first and len(made) == 2
    assert tools.cached("thing", [source, {"a": 2}], make) != first and len(made) == 3


def test_a_build_that_fails_leaves_nothing(tmp_path):
    def make(folder):
        (folder / "half").write_text("")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        tools.cached("thing", 1, make)
    assert not [path for path in tools.cache_folder().iterdir() if path.is_dir()]


def test_two_who_want_the_same_build_it_once():
    made = []

    def make(folder):
        made.append(folder)
        sleep(0.3)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: tools.cached("thing", 1, make), range(2))
    assert first == second and len(made) == 1


def test_a_cache_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("IMPLICORE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(BadInput, match=r"^The cache .* cannot be written .* set IMPLICORE_CACHE"):
        tools.cached("thing", 1, lambda folder: None)


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.delenv("IMPLICORE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert tools.cache_folder() == tmp_path / "implicore"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMPLICORE_CACHE", "here")
    assert tools.cache_folder() == tmp_path / "here"


def test_the_environment_is_given_back(monkeypatch):
    monkeypatch.setenv("A", "before")
    monkeypatch.delenv("B", raising=False)
    with tools.Tool("x", "1", {"A": "1", "B": "2"}).at_hand():
        assert (os.environ["A"], os.environ["B"]) == ("1", "2")
    assert os.environ["A"] == "before" and "B" not in os.environ


def test_a_tool_that_fails_names_itself_and_its_log(tmp_path):
    script = tmp_path / "tool"
    script.write_text("#!/bin/sh\nfor i in 1 2 3; do echo line $i; done; exit 7\n")
    script.chmod(0o755)
    with pytest.raises(tools.ToolFailed) as caught:
        tools.run([script, "-x"], tmp_path)
    command = f"tool failed (7): {script} -x"
    assert str(caught.value).splitlines() == [command, "line 1", "line 2", "line 3"]
    tools.run(["true"], tmp_path)
