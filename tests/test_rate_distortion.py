import importlib
import json
from functools import partial
from importlib.util import find_spec
from itertools import count as counting
from pathlib import Path

import numpy as np
import pytest

from implicore.errors import BadInput
from implicore.network_shape import NetworkShape

pytest.importorskip("torch", reason="PyTorch, which trains the networks, is not installed")

FOLDER = Path(__file__).parents[1] / "bench"


def need(package):
    return pytest.mark.skipif(
        find_spec(package) is None, reason=f"{package} is not installed: implicore[bench] has it"
    )


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        yield importlib.import_module("rate_distortion")


CODECS = [
    pytest.param(0, marks=need("imagecodecs"), id="jpeg2000"),
    pytest.param(1, marks=need("imagecodecs"), id="jpegxl"),
    pytest.param(2, marks=need("av"), id="hevc"),
]


@pytest.fixture(scope="module")
def smooth():
    """A smooth ball with some noise, of three different odd lengths."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in (45, 53, 19)), indexing="ij")
    noise = np.random.default_rng(0).normal(0, 2, (45, 53, 19))
    ball = 200 * np.exp(-3 * sum(axis**2 for axis in axes)) + noise
    return np.clip(np.round(ball + 20), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("number", CODECS)
def test_a_codec_returns_the_volume(bench, smooth, number):
    codec = bench.image_codecs.CODECS[number]
    best = codec.settings[-1]
    streams = codec.encode(smooth, best)
    assert len(streams) == (1 if codec.name == "HEVC" else smooth.shape[2])
    assert all(isinstance(stream, bytes) for stream in streams)
    decoded = codec.decode(streams)
    assert decoded.dtype == np.uint8 and decoded.shape == smooth.shape
    # Nothing mirrored, transposed, or rescaled from studio to full range.
    assert np.abs(decoded.astype(int) - smooth).max() <= 8


@pytest.mark.parametrize("number", CODECS)
def test_a_codec_takes_more_bits_for_better_pictures(bench, smooth, number):
    codec = bench.image_codecs.CODECS[number]
    points = [codec.measure(smooth, setting) for setting in codec.settings[2::2]]
    for values in zip(*points, strict=True):
        assert list(values) == sorted(set(values))
    best = points[-1]
    assert 40 < best.psnr_db < 60 and 0.9 < best.ssim <= 1
    assert 0.1 < best.bits_per_voxel < 8
    streams = codec.encode(smooth, codec.settings[2::2][-1])
    assert best.bits_per_voxel == 8 * sum(map(len, streams)) / smooth.size


def test_figures_between_measured_rates(bench):
    points = [bench.rate_points.Point(4.0, 50.0, 0.99), bench.rate_points.Point(1.0, 40.0, 0.95)]
    assert bench.rate_points.at_rate(points, 2.0) == pytest.approx((2.0, 45.0, 0.97))
    assert bench.rate_points.at_rate(points, 1.0) == pytest.approx((1.0, 40.0, 0.95))
    assert bench.rate_points.rate_for(points, 45.0) == pytest.approx(2.0)
    for rate in (0.99, 4.01):
        assert bench.rate_points.at_rate(points, rate) is None
    for level in (39.9, 50.1):
        assert bench.rate_points.rate_for(points, level) is None
    assert (
        bench.rate_points.at_rate([], 1.0) is None and bench.rate_points.rate_for([], 40.0) is None
    )


def test_measurements_are_cached(bench, tmp_path, monkeypatch):
    monkeypatch.setenv("IMPLICORE_CACHE", str(tmp_path))
    calls = []

    def compute():
        calls.append(1)
        return bench.rate_points.Point(1.0, 40.0, 0.9)

    for inputs, count in (({"a": 1}, 1), ({"a": 1}, 1), ({"a": 2}, 2)):
        assert bench.measured(inputs, compute) == bench.rate_points.Point(1.0, 40.0, 0.9)
        assert len(calls) == count


@need("imagecodecs")
@need("av")
def test_a_whole_run(bench, smooth, tmp_path, monkeypatch, capsys):
    from implicore.grid import Grid
    from implicore.model.volume import Volume

    monkeypatch.setenv("IMPLICORE_CACHE", str(tmp_path / "cache"))
    volume = Volume(smooth.copy(), Grid.from_array(smooth.shape, np.eye(4)), "ball")
    tiny = NetworkShape(frequencies=8, width=8, depth=3)
    monkeypatch.setattr(bench, "VOLUMES", {"ball": lambda: volume})
    for module in (bench, bench.rate_programs):
        monkeypatch.setattr(module, "NETWORKS", {"tiny": tiny})
    # A clock that counts its readings: the same training on a busy machine and on an idle one.
    monkeypatch.setattr(bench.rate_programs.time, "process_time", partial(next, counting(1.0)))
    report, folder = tmp_path / "report.json", tmp_path / "kept"
    arguments = "--volume ball --preset tiny --formats w8a8 --seconds 400 --finetune 50 --quiet"
    arguments = [*arguments.split(), "--folder", str(folder), "--json", str(report)]
    programs, compiled = [], bench.rate_programs.compiled
    monkeypatch.setattr(
        bench.rate_programs,
        "compiled",
        lambda *inputs: programs.append(compiled(*inputs)) or programs[-1],
    )
    assert bench.main(arguments) == 0
    table = capsys.readouterr().out
    assert "### ball: 45 x 53 x 19 voxels" in table and "| tiny | w8a8 |" in table
    figures = json.loads(report.read_text())["volumes"]["ball"]
    [row] = figures["programs"]
    assert row["point"]["bits_per_voxel"] * smooth.size == 8 * len(programs[0].to_bytes())
    assert row["point"]["psnr_db"] > 15
    # The second run computes nothing.
    monkeypatch.setattr(bench.rate_programs, "fit", None)
    monkeypatch.setattr(bench.rate_programs, "quantize", None)
    assert bench.main(arguments) == 0
    assert capsys.readouterr().out == table
    # Formats that cannot hold the network are a line under the table, not the end of the run.
    monkeypatch.setattr(bench.rate_programs, "quantize", refuse)
    assert bench.main([*arguments, "--formats", "w4a4"]) == 0
    assert "tiny w4a4: It does not fit." in capsys.readouterr().out


def refuse(*_):
    raise BadInput("It does not fit.")


def test_a_missing_package_is_one_sentence(bench, tmp_path, monkeypatch, capsys):
    codec = bench.image_codecs.CODECS[0]._replace(package="no-such-package")
    monkeypatch.setattr(bench.image_codecs, "CODECS", (codec,))
    assert bench.main(["--folder", str(tmp_path), "--quiet"]) == 2
    assert capsys.readouterr().err == (
        "rate_distortion: The Python package no-such-package is missing: install the codecs with "
        "pip install 'implicore[bench]'.\n"
    )


def test_a_folder_that_cannot_be_made_is_one_sentence(bench, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench.image_codecs, "CODECS", ())
    (tmp_path / "file").touch()
    assert bench.main(["--folder", str(tmp_path / "file" / "below"), "--quiet"]) == 2
    error = capsys.readouterr().err
    assert error.endswith(" cannot be created: Not a directory.\n") and error.count("\n") == 1


@pytest.mark.parametrize("option", [["--seconds", "0"], ["--finetune", "nan"], ["--formats", "x"]])
def test_wrong_options(bench, capsys, option):
    with pytest.raises(SystemExit) as exit_:
        bench.main(option)
    assert exit_.value.code == 2
    assert f"error: argument {option[0]}" in capsys.readouterr().err
