"""Sweeps with a fake flow (``explore_fake``)."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import distributed
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tqdm import tqdm

from implicore.accelerator_config import AcceleratorConfig
from implicore.cli import main
from implicore.config_file import read_config
from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.grid import Frame
from implicore.model.checkpoint import Model, image_digest
from implicore.model.compiler import compile_model
from implicore.model.volume import load_volume
from implicore.network_shape import NETWORKS, NetworkShape
from implicore.program import Intensity, Program
from implicore.random_program import random_program
from implicore.synth.explore import results, workload
from implicore.synth.explore.metrics import OBJECTIVES
from implicore.synth.explore.pareto import pareto_front
from implicore.synth.explore.selection import write_best
from implicore.synth.explore.spec import read_spec
from implicore.synth.explore.sweep import sweep

HERE = Path(__file__).parent
SHAPE = NETWORKS["fast"]

SPEC = """target = "osu018"
[constraints]
where = "area_um2 < 4e6"
[grid]
rows = [2, 4, 8, 13]
columns = [4, 7, 8]
formats = "w8a12"
program = "a.inr"
"""
PRESET = SPEC.replace('program = "a.inr"', 'network = "fast"').replace(
    '"w8a12"', '["w8a8", "w4a9"]'
)


@pytest.fixture(scope="module")
def fake_flow():
    """``explore_fake.fake_flow``, importable here and in every worker."""
    sys.path.insert(0, str(HERE))
    import explore_fake

    yield explore_fake.fake_flow
    sys.path.remove(str(HERE))


@pytest.fixture(scope="module")
def scheduler(fake_flow):
    """Start two workers in this process, which is quick."""
    cluster = distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        protocol="tcp://",
        dashboard_address="127.0.0.1:0",
    )
    with cluster:
        yield cluster.scheduler_address


@pytest.fixture
def swept(tmp_path, scheduler, fake_flow):
    """A function that sweeps and returns metrics, table and numbers of calls."""
    random_program(SHAPE, Formats(8, 12), seed=1).save(tmp_path / "a.inr")

    def run(text=SPEC, folder="out", address=scheduler, **options):
        (tmp_path / "sweep.toml").write_text(text)
        log = tmp_path / "log"
        log.write_text("")
        metrics = sweep(
            read_spec(tmp_path / "sweep.toml"),
            tmp_path / folder,
            bar=lambda total, text: tqdm(total=total, disable=True),
            scheduler=address,
            flow=fake_flow(log),
            **options,
        )
        return metrics, results.read(tmp_path / folder), done(log)

    run.folder = tmp_path / "out"
    return run


def done(log: Path) -> Counter:
    """Return how often each call was made, by its name and first argument."""
    return Counter(tuple(line.split()[:2]) for line in log.read_text().splitlines())


def test_every_point_has_one_row_and_is_computed_once(swept):
    metrics, table, log = swept()
    assert len(table) == metrics["points"] == 12 and table["point"].is_unique
    assert list(table.columns) == list(results.COLUMNS)
    assert all(count == 1 for count in log.values())
    failed = table[table["source"] == "failed"]
    assert metrics["failed"] == len(failed)
    unsupported = failed[failed["rows"] == 13]
    assert set(unsupported["error"]) == {"Thirteen rows are not supported."}
    assert len(unsupported) == 3
    tool = failed[failed["rows"] != 13]
    assert set(tool["error"]) == {"RuntimeError: The tool crashed."} and set(tool["columns"]) == {7}
    assert failed["area_um2"].isna().all() and not failed["feasible"].any()
    assert metrics["pareto"] == table.loc[table["front"], "point"].tolist() != []
    assert 0 < metrics["seconds"] < 60


def test_patches_are_an_axis_through_the_sources(swept):
    shape = replace(SHAPE, outputs=4)
    program = random_program(shape, Formats(8, 12), seed=2, patch=(2, 2, 1))
    program.save(swept.folder.parent / "b.inr")
    text = SPEC.replace('"a.inr"', '["a.inr", "b.inr"]').replace("[2, 4, 8, 13]", "[4]")
    _, table, _ = swept(text.replace("[4, 7, 8]", "[4, 8]"))
    assert not (table["source"] == "failed").any()
    rows = table.set_index(["patch", "columns"]).sort_index()
    assert list(rows.index) == [("1x1x1", 4), ("1x1x1", 8), ("2x2x1", 4), ("2x2x1", 8)]
    assert rows["outputs"].tolist() == [1, 1, 4, 4]
    macs = SHAPE.weights, (SHAPE.weights + 3 * SHAPE.width) / 4
    assert rows["macs_per_voxel"].tolist() == [macs[0]] * 2 + [macs[1]] * 2
    assert rows["network"].unique().tolist() == ["fast", "L 64, width 64, depth 5, outputs 4"]
    assert (rows["voxels_per_second"]["2x2x1"] > 3 * rows["voxels_per_second"]["1x1x1"]).all()


def test_only_the_front_is_synthesized(swept):
    _, table, log = swept()
    begun = {of for what, of in log if what == "begin"}
    everything = swept(SPEC.replace("[con", 'synthesize = "none"\n[con'), "other")[1]
    everything = everything[everything["source"] == "predicted"]
    chosen = everything[pareto_front(everything, OBJECTIVES)]
    assert {f"{r.rows}x{r.columns}-{r.formats}" for r in chosen.itertuples()} == begun
    assert 0 < len(begun) < len(everything)
    made = table[table["source"] == "synthesized"]
    assert (made["area_um2"] > made["predicted_area_um2"]).all()
    assert made["utilization"].between(0.3, 1.1).all() and made["voxels_per_second"].gt(0).all()
    assert set(table.loc[table["front"], "source"]) == {"synthesized"}
    merged = made.merge(everything, on="point")
    np.testing.assert_allclose(merged["voxels_per_second_x"], merged["voxels_per_second_y"])


@pytest.mark.parametrize(("choice", "count"), [("all", 9), ("none", 0)])
def test_all_or_none_synthesized(swept, choice, count):
    metrics, table, log = swept(SPEC.replace("[con", f'synthesize = "{choice}"\n[con'))
    assert sum(what == "begin" for what, _ in log) == count
    assert metrics["synthesized"] == (table["source"] == "synthesized").sum()
    assert table["front"].any()


def test_a_margin_adds_points_near_the_front(swept):
    few, more = (swept(f"near = {near}\n" + SPEC, f"near{near}")[2] for near in (0.0, 0.9))
    assert sum(what == "begin" for what, _ in few) < sum(what == "begin" for what, _ in more)


def test_constraints_mark_feasible_points(swept):
    text = SPEC.replace("4e6", "2.2e5").replace("[grid]", 'fits = "ecp5-85f"\n[grid]')
    _, table, _ = swept(text)
    met = (table["area_um2"] < 2.2e5) & table["fits"].fillna(False).astype(bool)
    assert (table["feasible"] == met).all() and met.any() and not met.all()
    assert not (table["front"] & ~met).any()
    assert json.loads((swept.folder / "sweep.json").read_text())["constraints"] == [
        "area_um2 < 2.2e5",
        "fits ecp5-85f",
    ]


def test_without_a_program_there_is_neither_energy_nor_quality(swept):
    metrics, table, log = swept(PRESET)
    assert len(table) == 24 and table[["psnr_db", "nj_per_voxel", "power_mw"]].isna().all(axis=None)
    assert table["program"].isna().all() and set(table["network"]) == {"fast"}
    assert sum(what == "characterize" for what, _ in log) == 2
    objectives = json.loads((swept.folder / "sweep.json").read_text())["objectives"]
    assert objectives == {"area_mm2": "min", "voxels_per_second": "max"}
    assert metrics["pareto"]


def test_formats_that_cannot_be_characterized_fail_alone(swept):
    _, table, _ = swept(PRESET.replace('"w8a8"', '"w16a9"'))
    failed = table[table["formats"] == "w16a9"]
    assert set(failed["error"]) == {"No cell has 16 bits."} and len(failed) == 12
    assert (table[table["formats"] == "w4a9"]["source"] != "failed").any()


def test_folder_contents(swept):
    _, table, _ = swept()
    folder = swept.folder
    text = pd.read_csv(folder / "results.csv")
    assert list(text.columns) == list(table.columns) and len(text) == len(table)
    np.testing.assert_allclose(text["area_um2"], table["area_um2"])
    (program,) = table["program"].dropna().unique()
    (image,) = table["image"].dropna().unique()
    assert (folder / program).read_bytes() == (folder.parent / "a.inr").read_bytes()
    assert Image.open(folder / image).size == (4, 3)
    assert Image.open(folder / "images" / "source.png").size == (4, 3)
    blocks = json.loads(table["blocks"].dropna().iloc[0])
    assert set(blocks) == {"array", "memory weights"}
    described = json.loads((folder / "sweep.json").read_text())
    assert described["target"] == "OSU 0.18 um" and described["left_out"]
    assert described["spec"]["grid"]["rows"] == [2, 4, 8, 13]


def test_recorded_command_measures_the_point(swept):
    _, table, _ = swept(PRESET + "gate_zeros = true\nlanes = [1, 2]\nweight_word_bits = [16, 64]\n")
    for row in table.dropna(subset="command").itertuples():
        words = shlex.split(row.command)
        assert words[:2] == ["implicore", "synth"] and words[4:6] == ["--target", "osu018"]
        settings = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
        config = read_config(words[words.index("--config") + 1], settings)
        expected = {name: getattr(row, name) for name in vars(config)}
        assert {**vars(config), "formats": str(config.formats)} == expected
        assert config.gate_zeros is True
    assert set(table["weight_word_bits"]) == {16, 64}


def test_a_finished_sweep_is_not_computed_again(swept):
    first, _, _ = swept()
    journal = (swept.folder / "journal.jsonl").read_bytes()
    again, _, log = swept(resume=True, address="tcp://127.0.0.1:1")  # not even a scheduler
    assert log == Counter() and (swept.folder / "journal.jsonl").read_bytes() == journal
    assert {**first, "seconds": 0} == {**again, "seconds": 0}


def test_resuming_computes_what_is_missing(swept):
    first, _, _ = swept()
    path = swept.folder / "journal.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    made = [line for line in lines if '"synthesized"' in line]
    whole = {json.loads(line)["point"] for line in made}
    predicted = [
        line for line in lines if '"predicted"' in line and json.loads(line)["point"] in whole
    ]
    gone = [json.loads(line) for line in (predicted[0], made[-1])]
    kept = [line for line in lines if line not in (predicted[0], made[-1])]
    path.write_text("".join(kept) + made[-1][:20])
    again, table, log = swept(resume=True)
    (synthesized,) = table[table["point"] == gone[1]["point"]].itertuples()
    name = f"{synthesized.rows}x{synthesized.columns}-{synthesized.formats}"
    expected = {("predict", gone[0]["point"]), ("begin", name), ("end", name)}
    assert set(log) - {("characterize", "w8a12")} == expected
    assert {**first, "seconds": 0} == {**again, "seconds": 0}


def test_rejected_sweeps(swept, tmp_path, monkeypatch):
    monkeypatch.setattr("implicore.synth.explore.workers.TIMEOUT", "1s")
    swept()
    with pytest.raises(BadInput, match="already holds a sweep: continue it with --resume"):
        swept()
    with pytest.raises(BadInput, match="holds another sweep"):
        swept(SPEC.replace("4e6", "5e6"), resume=True)
    random_program(SHAPE, Formats(8, 12), seed=2).save(tmp_path / "a.inr")
    with pytest.raises(BadInput, match="holds another sweep"):
        swept(resume=True)
    with pytest.raises(BadInput, match="No Dask scheduler answers at tcp://127.0.0.1:1"):
        swept(folder="other", address="tcp://127.0.0.1:1")
    with pytest.raises(BadInput, match="No Dask scheduler answers at nonsense"):
        swept(folder="another", address="nonsense://x")
    with pytest.raises(BadInput, match="colour is not a column of a sweep"):
        swept(SPEC.replace("area_um2 <", "colour <"), "third")
    with pytest.raises(BadInput, match="There is no target 'gold'"):
        swept(SPEC.replace("osu018", "gold"), "fourth")
    with pytest.raises(BadInput, match=r"^There is no device xilinx: choose from ecp5-85f\.$"):
        swept(SPEC.replace("[grid]", 'fits = "xilinx"\n[grid]'), "fifth")


def test_interrupted_sweep_leaves_a_table(swept, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("implicore.synth.explore.sweep._Run.synthesize", interrupted)
    with pytest.raises(KeyboardInterrupt):
        swept()
    table = results.read(swept.folder)
    assert len(table) == 12 and set(table["source"]) == {"predicted", "failed"}


def test_the_best_configuration_is_ready_to_be_generated(swept, tmp_path, capsys):
    _, table, _ = swept()
    found = write_best(swept.folder, table, "nj_per_voxel", "area_um2 < 2.2e5")
    small = table[table["feasible"] & (table["area_um2"] < 2.2e5)]
    assert found["point"] == small.loc[small["nj_per_voxel"].idxmin(), "point"]
    config = read_config(found["config"])
    assert (config.rows, config.columns) == (found["rows"], found["columns"])
    assert config == AcceleratorConfig.from_dict({name: found[name] for name in vars(config)})

    words = ["sweep", "-o", str(swept.folder), "--best", "nj_per_voxel"]
    assert main([*words, "--where", "area_um2 < 2.2e5", "--json", str(tmp_path / "j.json")]) == 0
    out = capsys.readouterr().out
    assert found["point"] in out and "best.toml" in out
    assert json.loads((tmp_path / "j.json").read_text())["point"] == found["point"]
    assert main([*words, "--where", "area_um2 < 2"]) == 1
    assert capsys.readouterr().out == "No design meets the condition.\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Give either SPEC.toml to sweep or --best METRIC to choose a design."),
        (["a.toml", "--best", "psnr_db"], "Give either SPEC.toml"),
        (["a.toml", "--where", "psnr_db > 3"], "--where needs --best"),
        (["--best", "psnr_db"], "does not contain results.parquet: name the folder of a sweep"),
        (["none.toml"], "none.toml cannot be read"),
    ],
)
def test_bad_commands(arguments, sentence, tmp_path, capsys):
    assert main(["sweep", *arguments, "-o", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1


def test_the_subcommand_needs_no_torch(tmp_path):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import implicore.synth.explore.sweep, implicore.synth.report.sweep"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_a_model_is_compiled_for_each_format_once(tmp_path, scheduler, fake_flow, monkeypatch):
    """The real preparation of a model and its image, in a flow that is fake otherwise."""
    monkeypatch.setenv("IMPLICORE_CACHE", str(tmp_path / "cache"))
    compiled = []

    def counted(model, formats, volumes):
        compiled.append(str(formats))
        return compile_model(model, formats, volumes)

    monkeypatch.setattr(workload, "compile_model", counted)
    rng = np.random.default_rng(0)
    affine = np.diag([1.0, 1.5, 2.0, 1.0])
    image = nib.Nifti1Image(rng.integers(0, 200, (9, 8, 7)).astype(np.uint8), affine)
    nib.save(image, tmp_path / "a.nii")
    volume = load_volume(tmp_path / "a.nii")
    shape = NetworkShape(frequencies=6, width=8, depth=3)
    Model(
        shape,
        sigma=1.0,
        frequencies=rng.integers(-900, 900, (6, 3)),
        weights=tuple(rng.normal(0, 0.4, (n.outputs, n.inputs)).astype("f4") for n in shape.layers),
        biases=tuple(rng.normal(0, 0.1, n.outputs).astype("f4") for n in shape.layers),
        frame=Frame.around([volume.grid]),
        grids=(volume.grid,),
        intensity=Intensity(0.0, 199.0, "uint8"),
        images=({"name": "a.nii", "sha256": image_digest(volume), "path": "gone.nii"},),
    ).save(tmp_path / "a.model")
    text = (
        'target = "osu018"\n{}[grid]\nrows = [4, 8]\ncolumns = 4\nformats = {}\nmodel = "a.model"\n'
    )

    def run(image, formats, folder):
        (tmp_path / "sweep.toml").write_text(text.format(image, formats))
        flow = replace(fake_flow(tmp_path / "log"), prepare=workload.prepare)
        sweep(
            read_spec(tmp_path / "sweep.toml"),
            tmp_path / folder,
            bar=lambda total, text: tqdm(total=total, disable=True),
            scheduler=scheduler,
            flow=flow,
        )
        return results.read(tmp_path / folder)

    with pytest.raises(BadInput, match=r"cannot be used .* image = FILE\.$"):
        run("", '["w8a12"]', "first")
    table = run('image = "a.nii"\n', '["w8a12", "w4a4"]', "first")
    assert sorted(compiled) == ["w4a4", "w8a12"] and len(table) == 4
    quality = table.groupby("formats")["psnr_db"].agg(["min", "max"])
    assert (quality["min"] == quality["max"]).all()
    model = Model.load(tmp_path / "a.model")
    for name in quality.index:
        expected = compile_model(model, Formats.parse(name), [volume])
        assert quality.loc[name, "min"] == pytest.approx(expected.psnr_db)
        assert Program.load(tmp_path / "first" / "programs" / f"a-{name}.inr").formats
        assert (tmp_path / "first" / "images" / f"a-{name}.png").is_file()
    assert (tmp_path / "first" / "images" / "source.png").is_file()
    assert json.loads((tmp_path / "first" / "sweep.json").read_text())["image"] == "a.nii"
    again = run('image = "a.nii"\n', '["w8a12", "w4a4"]', "second")
    assert len(compiled) == 2 and again["psnr_db"].equals(table["psnr_db"])


# ------------------------------------------------------------- processes that are killed


@contextmanager
def processes():
    """A list of processes that are killed, with their children, on exit."""
    running = []
    try:
        yield running
    finally:
        for process in running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def start(*words, log: Path) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    with open(log, "w") as output:
        return subprocess.Popen(
            [sys.executable, *map(str, words)],
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def until(condition, seconds=120.0):
    """Wait until a condition is true and return its value; fail after a time limit."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"the condition was not met within {seconds} s")


def until_quiet(path: Path) -> None:
    """Wait until a file no longer changes: its writers end with the killed process."""
    size, since = -1, time.monotonic()
    while time.monotonic() < since + 3:
        if path.stat().st_size != size:
            size, since = path.stat().st_size, time.monotonic()
        time.sleep(0.05)


MANY = SPEC.replace("[2, 4, 8, 13]", "[2, 3, 4, 5, 6, 8]").replace("[4, 7, 8]", "[4, 5, 6]")
MANY = 'synthesize = "all"\n' + MANY


def begun(log: Path) -> list[list[str]]:
    lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    return [words for words in lines if words[0] == "begin"]


def synthesized(folder: Path) -> int:
    """Return the number of syntheses that the journal in a folder records."""
    journal = folder / "journal.jsonl"
    return journal.read_text().count('"stage": "synthesized"') if journal.exists() else 0


def dask(running: list, folder: Path, *, workers: int) -> str:
    """Start a scheduler and workers, each a process; the scheduler's address."""
    where = folder / "scheduler.json"
    words = ("--no-dashboard", "--scheduler-file", where, "--port", 0, "--host", "127.0.0.1")
    running.append(start("-m", "distributed.cli.dask_scheduler", *words, log=folder / "s"))
    until(where.exists)
    address = until(lambda: json.loads(where.read_text() or "{}").get("address"))
    options = ("--nthreads", 1, "--no-nanny", "--no-dashboard", "--local-directory", folder)
    for number in range(workers):
        words = ("-m", "distributed.cli.dask_worker", address, *options)
        running.append(start(*words, log=folder / f"w{number}"))
    return address


def drive(running: list, folder: Path, scheduler: str) -> subprocess.Popen:
    """Start a sweep of 18 points in a process, with local workers if there is no scheduler.

    It writes its results into ``out``, its output into ``d`` and its workers' calls into ``log``.
    """
    random_program(SHAPE, Formats(8, 12), seed=1).save(folder / "a.inr")
    (folder / "sweep.toml").write_text(MANY)
    arguments = (folder / "sweep.toml", folder / "out", folder / "log", 0.15, scheduler)
    running.append(start(HERE / "explore_driver.py", *arguments, log=folder / "d"))
    return running[-1]


def test_killed_worker_is_replaced(tmp_path, fake_flow):
    """Scheduler and workers are processes: no point is lost and none recorded twice."""
    log, out = tmp_path / "log", tmp_path / "out"
    with processes() as running:
        address = dask(running, tmp_path, workers=2)
        driver = drive(running, tmp_path, address)

        workers = [str(one.pid) for one in running[1:3]]
        until(lambda: len(begun(log)) >= 5 and {one[2] for one in begun(log)} == set(workers))
        running[1].kill()
        assert driver.wait(120) == 0, (tmp_path / "d").read_text()

    table = results.read(out)
    assert len(table) == 18 and set(table["source"]) == {"synthesized"}
    lines = [json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines()[1:]]
    found = Counter((line["stage"], line["point"]) for line in lines)
    assert set(found.values()) == {1} and len(found) == 36
    times = Counter(one[1] for one in begun(log))
    after = [one for one in begun(log) if one[2] == workers[0]]
    again = [name for name, count in times.items() if count > 1]
    # The dead worker's own: the one it was computing, and one that it had not returned.
    assert len(times) == 18 and len(again) <= 2 and set(again) <= {one[1] for one in after}


def test_lost_scheduler_is_reported(tmp_path):
    log, out = tmp_path / "log", tmp_path / "out"
    with processes() as running:
        address = dask(running, tmp_path, workers=1)
        driver = drive(running, tmp_path, address)
        until(lambda: len(begun(log)) >= 3)
        running[0].kill()
        assert driver.wait(120) == 1
    said = (tmp_path / "d").read_text()
    assert (
        "BadInput: The connection to the Dask scheduler was lost: continue with --resume." in said
    )
    assert "distributed.client" not in said.splitlines()[0]
    assert (results.read(out)["source"] == "predicted").any()


def test_a_killed_sweep_is_resumed(tmp_path, fake_flow):
    """A sweep with local workers is killed with ``kill -9``: recorded points are not repeated."""
    log, out = tmp_path / "log", tmp_path / "out"
    with processes() as running:
        driver = drive(running, tmp_path, "")
        until(lambda: synthesized(out) >= 3)
        driver.kill()
        driver.wait()
        until_quiet(log)
    before = Counter(one[1] for one in begun(log))
    assert len(before) < 18
    recorded = synthesized(out)
    metrics = sweep(
        read_spec(tmp_path / "sweep.toml"),
        out,
        bar=lambda total, text: tqdm(total=total, disable=True),
        resume=True,
        flow=fake_flow(log),
    )
    assert metrics["points"] == metrics["synthesized"] == 18 and metrics["failed"] == 0
    times = Counter(one[1] for one in begun(log))
    again = [name for name, count in times.items() if count > 1]
    assert len(times) == 18 and max(times.values()) <= 2
    assert len(again) == sum(before.values()) - recorded
    names = [json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines()]
    found = Counter((one["stage"], one["point"]) for one in names[1:])
    assert set(found.values()) == {1}
