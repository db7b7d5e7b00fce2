from concurrent.futures import ThreadPoolExecutor
from time import sleep

import pytest

from implicore.cache import cache_folder, cached, cached_json
from implicore.errors import BadInput


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    """Start with an empty cache."""
    monkeypatch.setenv("IMPLICORE_CACHE", str(tmp_path / "cache"))


def test_a_result_is_made_once(tmp_path):
    made = []

    def make(folder):
        made.append(folder)
        (folder / "result").write_text("x")

    source = tmp_path / "source"
    source.write_text("1")
    first = cached("thing", [source, {"a": 1}], make)
    assert cached("thing", [source, {"a": 1}], make) == first and len(made) == 1
    assert (first / "result").read_text() == "x"
    source.write_text("2")
    assert cached("thing", [source, {"a": 1}], make) != first and len(made) == 2
    assert cached("thing", [source, {"a": 2}], make) != first and len(made) == 3


def test_a_failure_leaves_no_files(tmp_path):
    def make(folder):
        (folder / "half").write_text("")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        cached("thing", 1, make)
    assert not [path for path in cache_folder().iterdir() if path.is_dir()]


def test_concurrent_callers_share_one_result():
    made = []

    def make(folder):
        made.append(folder)
        sleep(0.3)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: cached("thing", 1, make), range(2))
    assert first == second and len(made) == 1


def test_unwritable_cache(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("IMPLICORE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(BadInput, match=r"^The cache .* cannot be written .* set IMPLICORE_CACHE"):
        cached("thing", 1, lambda folder: None)


def test_location_of_the_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("IMPLICORE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "implicore"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMPLICORE_CACHE", "here")
    assert cache_folder() == tmp_path / "here"


def test_key_depends_on_contents_not_on_paths(tmp_path):
    folders = []
    for name in ("here", "there"):
        (tmp_path / name / "part").mkdir(parents=True)
        (tmp_path / name / "part" / "source").write_text("1")
        inputs = {"file": tmp_path / name / "part" / "source", "folder": tmp_path / name}
        folders.append(cached("thing", inputs, lambda folder: None))
    assert folders[0] == folders[1]
    (tmp_path / "there" / "part" / "source").rename(tmp_path / "there" / "part" / "renamed")
    assert cached("thing", {**inputs, "file": tmp_path / "here"}, lambda folder: None) != folders[0]


def test_missing_input_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        cached("thing", tmp_path / "missing", lambda folder: None)


def test_json_values_are_returned_exactly():
    values = {"floats": [0.1, 1 / 3, 5e-324, -0.0, 1e300, 2**0.5], "none": None, "text": "\u03c3"}
    made = []
    for _ in range(2):
        assert repr(cached_json("thing", 1, lambda: made.append(1) or values)) == repr(values)
    assert len(made) == 1
