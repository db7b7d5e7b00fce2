import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from implicore.accelerator_config import ACCELERATORS, AcceleratorConfig
from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.grid import Grid
from implicore.model.golden import Renderer
from implicore.model.volume import Volume
from implicore.network_shape import NetworkShape
from implicore.process import ToolFailed
from implicore.random_program import random_program
from implicore.sim import session
from implicore.sim.picture import sample
from implicore.sim.simulation import simulate
from implicore.sim.timeline import load_timeline
from implicore.sim.waves import SHOWN, save_file, signals

SHAPE = NetworkShape(6, 7, 3, (3,))
CONFIG = AcceleratorConfig.sized(3, 4, Formats.parse("w8a10"), [SHAPE])
PROGRAM = random_program(SHAPE, CONFIG.formats, seed=4)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Build without optimization: these tests simulate few cycles."""
    from implicore.sim import fast

    build = fast.build
    monkeypatch.setattr(
        fast, "build", lambda config, **options: build(config, **{**options, "optimize": False})
    )


def oblique() -> Grid:
    """An oblique plane through the middle of the image."""
    turn, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = turn * 0.7
    affine[:3, 3] = PROGRAM.grid.world([3, 2.5, 2]) - affine[:3, :3] @ [5, 4, 0]
    return Grid.from_array((11, 9, 1), affine)


@pytest.mark.parametrize(
    "grid",
    [None, PROGRAM.grid, PROGRAM.grid.scaled(1.7), oblique()],
    ids=["default", "own", "1.7", "oblique"],
)
def test_bit_for_bit_and_cycle_for_cycle(grid):
    result = simulate(PROGRAM, CONFIG, grid=grid)
    assert result["agrees"] and not result["complaints"]
    assert result["voxels"] == (grid or PROGRAM.grid.middle_plane()).voxels
    assert result["mismatches"] == 0
    assert result["cycles"] == result["predicted_cycles"] < result["simulated_cycles"]
    assert result["utilization"] == result["useful_macs"] / (12 * result["cycles"])
    assert result["useful_macs"] == result["voxels"] * SHAPE.weights
    assert result["cycles_per_second"] > 1000
    json.dumps(result)


PATCH = (2, 3, 1)
PATCHES = replace(SHAPE, outputs=6)
PATCHED = random_program(PATCHES, CONFIG.formats, seed=4, patch=PATCH)
PATCH_CONFIG = AcceleratorConfig.sized(3, 4, CONFIG.formats, [SHAPE, PATCHES])


@pytest.mark.parametrize(
    ("grid", "points"),
    [(None, 4 * 2 * 1), (PATCHED.grid, 4 * 2 * 5), (PATCHED.grid.scaled(1.7), 4 * 2 * 5)],
    ids=["default", "own", "1.7"],
)
def test_patches_bit_for_bit_and_cycle_for_cycle(grid, points, tmp_path):
    picture = {} if grid else {"pictures": tmp_path}
    result = simulate(PATCHED, PATCH_CONFIG, grid=grid, **picture)
    assert result["agrees"] and not result["complaints"]
    assert result["voxels"] == points * 6 and result["mismatches"] == 0
    assert result["cycles"] == result["predicted_cycles"]
    assert result["useful_macs"] == points * PATCHES.weights


def test_picture_of_patches_shows_their_voxels(tmp_path):
    grid = PATCHED.grid.middle_plane()
    simulate(PATCHED, PATCH_CONFIG, grid=grid, pictures=tmp_path)
    shown = np.asarray(Image.open(tmp_path / "hardware.png"))[..., 0].astype(int)
    golden = Renderer(PATCHED).render(grid)[:, :, 0].T[::-1]
    assert np.array_equal(shown, np.floor(golden * (255 / CONFIG.formats.output_max) + 0.5))


def test_random_points_of_patches():
    result = simulate(PATCHED, PATCH_CONFIG, points=20, stall=0.5, seed=3)
    assert result["agrees"] and result["voxels"] == 20 * 6


@pytest.mark.parametrize("simulator", ["icarus", "fast"])
def test_points_with_stalls(simulator):
    result = simulate(PROGRAM, CONFIG, simulator=simulator, points=20, stall=0.5, seed=3)
    assert result["agrees"] and result["voxels"] == 20 and result["mismatches"] == 0
    assert result["cycles"] > result["predicted_cycles"]
    assert result["input_stall"] > 0


def test_cocotb_bench_decodes_two_tiles_by_default():
    assert simulate(PROGRAM, CONFIG, simulator="icarus")["voxels"] == 2 * CONFIG.rows


def test_wrong_and_missing_voxels_are_reported(monkeypatch, tmp_path):
    """Wrong and missing voxels are counted, described and shown."""
    grid = PROGRAM.grid.middle_plane()
    golden = Renderer(PROGRAM).render(grid).ravel(order="F")

    class Wrong:
        def run(self, operations, **options):
            values = []
            for operation in operations:
                value = 0
                if isinstance(operation, session.Decode):
                    voxels = golden[:-2].copy()
                    voxels[4] ^= 1
                    value = session.Decoded(voxels, False)
                values.append(value)
            return session.Responses(values, 10, 1.0)

    monkeypatch.setattr("implicore.sim.fast.build", lambda config, **options: Wrong())
    result = simulate(PROGRAM, CONFIG, grid=grid, picture=tmp_path / "x.png")
    assert result["mismatches"] == 3 and not result["agrees"]
    assert any("the first is number 4" in sentence for sentence in result["complaints"])
    assert any("voxels instead of" in sentence for sentence in result["complaints"])
    pixels = np.asarray(Image.open(tmp_path / "x.png")).astype(int)
    assert (pixels == [255, 0, 0]).all(axis=-1).sum() == 3


def test_protocol_violation_is_reported(monkeypatch):
    class Broken:
        def run(self, operations, **options):
            raise ToolFailed("simulate failed (1): x\nan offered voxel was changed in cycle 7")

    monkeypatch.setattr("implicore.sim.fast.build", lambda config, **options: Broken())
    result = simulate(PROGRAM, CONFIG, points=3)
    assert result["mismatches"] == result["voxels"] == 3 and not result["agrees"]
    assert result["complaints"][-1] == "an offered voxel was changed in cycle 7"
    json.dumps(result)


def test_picture_shows_source_golden_and_hardware(tmp_path):
    grid = PROGRAM.grid.middle_plane()
    volume = Volume(np.full(PROGRAM.grid.shape, 100, np.int16), PROGRAM.grid, "flat")
    simulate(PROGRAM, CONFIG, grid=grid, image=volume, picture=tmp_path / "x.png")
    pixels = np.asarray(Image.open(tmp_path / "x.png")).astype(int)
    width = pixels.shape[1] // 5

    def plane(number):
        left = number * width
        return pixels[-grid.shape[1] :, left : left + grid.shape[0], 0]

    golden = np.floor(Renderer(PROGRAM).render(grid)[:, :, 0] * (255 / 2**14) + 0.5).T[::-1]
    assert np.abs(plane(1) - golden).max() <= 1  # 255 / (2^14 - 1), in fact
    assert (plane(2) == plane(1)).all()
    assert (plane(0) == 127).all()  # 100 of -100 to 300, and beyond the image its least value
    assert not (pixels == [255, 0, 0]).all(axis=-1).any()


def test_pictures_are_written_as_files(tmp_path):
    grid = PROGRAM.grid.middle_plane()
    simulate(PROGRAM, CONFIG, grid=grid, picture=tmp_path / "x.png", pictures=tmp_path / "planes")
    pixels = np.asarray(Image.open(tmp_path / "x.png"))
    columns, rows, _ = grid.shape
    width = pixels.shape[1] // 3
    for number, name in enumerate(("golden", "hardware", "wrong")):
        alone = np.asarray(Image.open(tmp_path / "planes" / f"{name}.png"))
        assert np.array_equal(alone, pixels[-rows:, number * width :][:, :columns])
    assert not (tmp_path / "planes" / "source.png").exists()


def test_timeline_ends_with_the_job(tmp_path, monkeypatch):
    monkeypatch.setattr("implicore.sim.timeline.FINE_WINDOWS", 5)
    grid = PROGRAM.grid.scaled(2)
    result = simulate(PROGRAM, CONFIG, grid=grid, timeline=tmp_path / "t.csv")
    with open(tmp_path / "t.csv") as file:
        cycles, active, voxels = load_timeline(file).T
    assert (cycles[0], active[0], voxels[0]) == (0, 0, 0)
    assert (cycles[-1], active[-1]) == (result["cycles"], result["active_cycles"])
    assert voxels[-1] == result["voxels"] == grid.voxels
    windows, working, taken = np.diff(cycles), np.diff(active), np.diff(voxels)
    assert (windows > 0).all() and (taken >= 0).all() and 100 < len(windows) < 200
    # The reading of `active_cycles` comes some cycles after that of `cycles`, always as many.
    assert (working >= 0).all() and (working <= windows).all()
    assert (windows[:4] < 100).all() and working[0] < windows[0]


def test_sampling_takes_the_nearest_voxel():
    data = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    affine = np.diag([2.0, 1.0, 3.0, 1.0])
    volume = Volume(data, Grid.from_array(data.shape, affine), "x")
    assert (sample(volume, volume.grid) == data).all()
    shifted = affine.copy()
    shifted[:3, 3] = [0.9, -0.4, 1.4]
    assert (sample(volume, Grid.from_array(data.shape, shifted)) == data).all()
    shifted[0, 3] = 1.1
    assert (sample(volume, Grid.from_array((2, 3, 4), shifted))[0] == data[1]).all()
    assert (sample(volume, Grid.from_array((2, 3, 4), shifted))[1] == 0).all()


def test_waveform_and_save_file(tmp_path):
    simulate(PROGRAM, CONFIG, grid=oblique(), waves=tmp_path / "job.vcd")
    text = (tmp_path / "job.vcd").read_text()
    times = [int(line[1:]) for line in text.splitlines() if re.fullmatch(r"#\d+", line)]
    assert 0 < times[-1] - times[0] <= 2 * 2000
    save = (tmp_path / "job.gtkw").read_text().splitlines()
    assert save[0] == '[dumpfile] "job.vcd"'
    names = [line for line in save if line.startswith("TOP.")]
    known = {name for name, _ in signals(text).values()}
    assert set(names) <= known and len(names) > 20
    groups = [line for line in save if line.startswith("-")]
    assert groups == [f"-{group}" for group in SHOWN]


def test_save_file_lists_only_existing_signals():
    header = """$scope module TOP $end
$var wire 1 ! clk $end
$scope module implicore $end
$var wire 1 ! clk $end
$scope module core $end
$var wire 8 # other [7:0] $end
$upscope $end
$var wire 16 % m_axis_voxels_tdata [15:0] $end
$upscope $end
"""
    assert save_file(header, "a.vcd").splitlines() == [
        *('[dumpfile] "a.vcd"', "[timestart] 0"),
        *("@200", "-job", "@28", "TOP.implicore.clk"),
        *("@200", "-voxels", "@22", "TOP.implicore.m_axis_voxels_tdata[15:0]"),
    ]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"simulator": "spice"}, "The simulator must be one of icarus, verilator, fast, not"),
        ({"stall": 1.0}, "The probability of a stall must be from 0 to below 1, not 1."),
        ({"stall": -0.1}, "The probability of a stall must be"),
        ({"points": 0}, "There must be at least 1 point, not 0."),
        ({"points": 3, "picture": "x.png"}, "A picture shows one plane"),
        ({"grid": PROGRAM.grid, "picture": "x.png"}, "A picture shows one plane"),
        ({"picture": "x.jpg"}, "A picture is written as .png, not as x.jpg."),
        ({"points": 3, "pictures": "x"}, "A picture shows one plane"),
        ({"timeline": "x.txt"}, "A timeline is written as .csv, not as x.txt."),
        ({"timeline": "x.csv", "points": 3}, "A timeline needs a grid, the fast simulator and"),
        ({"timeline": "x.csv", "stall": 0.5}, "A timeline needs a grid, the fast simulator and"),
        ({"waves": "x.fst"}, "A waveform is written as .vcd, not as x.fst."),
        ({"config": ACCELERATORS["paper"]}, "The program does not fit the accelerator: "),
    ],
)
def test_invalid_arguments_are_rejected(options, sentence):
    config = options.pop("config", CONFIG)
    with pytest.raises(BadInput, match=f"^{re.escape(sentence)}"):
        simulate(PROGRAM, config, **options)
