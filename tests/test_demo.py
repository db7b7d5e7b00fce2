"""The demo itself: which steps run, are skipped, continued or rejected."""

import json
import os
import re
import subprocess
import sys
from math import prod
from pathlib import Path

import pytest

from implicore.cli import main, make_parser, requirements
from implicore.demo import demo, record, run, steps, tools
from implicore.errors import BadInput

LIBRARY = Path(__file__)


class Subcommands:
    """Stand-ins that read the inputs of a step and write its outputs."""

    def __init__(self, folder, path):
        self.folder, self.path, self.called = folder, path, []
        self.fails, self.found = {}, []

    def __call__(self, arguments):
        (step,) = (step for step in self.path if step.command(self.folder) == arguments)
        self.called.append(step.name)
        if step.name in self.fails:
            for name in filter(None, (*step.outputs, step.draft)):
                (self.folder / name).mkdir() if "." not in name else (self.folder / name).touch()
            outcome = self.fails.pop(step.name)
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome, {"agrees": False}
        self.found.append((step.name, {path.name for path in self.folder.iterdir()}))
        read = [(self.folder / name).read_bytes() for name in step.inputs]
        for name in step.outputs:
            path = self.folder / name
            if "." not in name:
                path.mkdir(exist_ok=True)
                path /= "file"
            path.write_bytes(step.name.encode() + b"".join(read)[:1000])
        return 0, {"seen": len(self.called)}


@pytest.fixture
def demonstrate(tmp_path, monkeypatch):
    """The demo with stand-ins for its subcommands, its tools and its page."""
    path = steps.steps("osu018", LIBRARY)
    subcommands = Subcommands(tmp_path, path)
    monkeypatch.setattr(run, "check_tools", lambda: ("osu018", LIBRARY))
    report = "implicore.synth.report.demo"
    monkeypatch.setattr(f"{report}.demo_page", lambda folder: folder / "report.html")
    monkeypatch.setattr(f"{report}.summary", lambda metrics, folder: [("Quality", "39 dB")])

    def carry_out():
        subcommands.called.clear()
        return demo(tmp_path, subcommands)

    carry_out.subcommands, carry_out.folder = subcommands, tmp_path
    carry_out.names = [step.name for step in path]
    return carry_out


def test_every_step_parses_and_has_a_place_on_the_page(tmp_path):
    from implicore.synth.report.demo import RESULTS

    path = steps.steps("osu018", LIBRARY)
    assert [step.name for step in path] == list(RESULTS)
    for step in path:
        options = make_parser().parse_args(step.command(tmp_path))
        assert options.subcommand == step.name.partition("_")[0]
    made = {"scan.nii.gz", "sweep.toml", str(LIBRARY)}
    for step in path:  # every input is made by an earlier step
        assert set(step.inputs) <= made, step.name
        made |= set(step.outputs)


def test_the_sweep_spec_is_valid(tmp_path):
    from implicore.synth.explore.spec import read_spec

    steps.write_inputs(tmp_path, "osu018")
    spec = read_spec(tmp_path / "sweep.toml")
    assert spec.target == "osu018" and prod(map(len, spec.grid.values())) == 49


def test_every_step_runs_once(demonstrate, capsys):
    code, metrics = demonstrate()
    assert code == 0 and demonstrate.subcommands.called == demonstrate.names == list(metrics)
    printed = capsys.readouterr().out
    assert (
        f"$ implicore compile {demonstrate.folder}/patch.model -o {demonstrate.folder}/patch.inr"
        in printed
    )
    assert re.search(r"Quality +39 dB", printed) and "report.html" in printed
    again = demonstrate()
    assert demonstrate.subcommands.called == [] and again == (code, metrics)
    assert capsys.readouterr().out.count("complete from an earlier run") == len(demonstrate.names)


def test_missing_or_changed_outputs_are_made_again(demonstrate):
    demonstrate()
    (demonstrate.folder / "zoom.png").unlink()
    demonstrate()
    assert demonstrate.subcommands.called == ["render_zoom"]
    (demonstrate.folder / "verilog" / "file").write_text("edited")
    demonstrate()
    assert demonstrate.subcommands.called == ["generate"]
    (demonstrate.folder / "patch.inr").write_text("damaged")
    demonstrate()
    assert demonstrate.subcommands.called == [
        "compile"
    ]  # which makes the same again: the rest still holds
    (demonstrate.folder / "scan.nii.gz").unlink()
    demonstrate()
    assert demonstrate.subcommands.called == []


def test_a_changed_input_repeats_the_steps_that_read_it(demonstrate, monkeypatch):
    demonstrate()
    monkeypatch.setattr(steps, "SWEEP", steps.SWEEP + "near = 0.1\n")
    demonstrate()
    assert demonstrate.subcommands.called == ["sweep"]


def test_another_version_repeats_every_step(demonstrate, monkeypatch):
    demonstrate()
    monkeypatch.setattr(record, "source_digest", lambda *names: "another")
    demonstrate()
    assert demonstrate.subcommands.called == demonstrate.names


def test_a_demo_that_was_moved_is_complete(demonstrate):
    demonstrate()
    moved = demonstrate.folder.rename(demonstrate.folder.with_name(f"{demonstrate.folder.name}m"))
    demonstrate.subcommands.called.clear()
    demo(moved, demonstrate.subcommands)
    assert demonstrate.subcommands.called == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), BadInput("no disk left.")])
def test_an_interrupted_demo_continues(demonstrate, error):
    demonstrate.subcommands.fails["simulate"] = error
    with pytest.raises(type(error)):
        demonstrate()
    done = demonstrate.subcommands.called[:-1]
    demonstrate()
    assert done + demonstrate.subcommands.called == demonstrate.names
    assert demonstrate.subcommands.called[0] == "simulate"


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize(
    ("name", "half"),
    [("fit", "patch.model.part"), ("sweep", "sweep"), ("fit_point", "point.model.part")],
)
def test_only_an_attempt_with_the_same_key_continues(demonstrate, monkeypatch, name, half, changed):
    """Partial outputs of another version are removed, because the subcommands would reject them."""
    demonstrate.subcommands.fails[name] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        demonstrate()
    if changed:
        monkeypatch.setattr(record, "source_digest", lambda *names: "another")
    demonstrate.subcommands.found.clear()
    assert demonstrate()[0] == 0
    assert (half in dict(demonstrate.subcommands.found)[name]) == (not changed)


def test_a_folder_with_other_files_is_rejected(demonstrate):
    (demonstrate.folder / "sweep").mkdir()
    (demonstrate.folder / "sweep" / "mine").write_text("keep")
    with pytest.raises(BadInput, match="holds files that do not belong to a demo: choose an empty"):
        demonstrate()
    assert (demonstrate.folder / "sweep" / "mine").read_text() == "keep"


def test_a_negative_result_ends_the_demo(demonstrate):
    demonstrate.subcommands.fails["simulate_icarus"] = 1
    code, metrics = demonstrate()
    assert code == 1 and metrics["simulate_icarus"] == {"agrees": False}
    assert demonstrate.subcommands.called[-1] == "simulate_icarus"
    assert demonstrate()[0] == 0 and demonstrate.subcommands.called[0] == "simulate_icarus"


def test_a_damaged_record_counts_as_empty(demonstrate):
    demonstrate()
    for content in ("[1, 2]", '{"steps": {"fit": 3}}', "{", '{"steps": {"fit": {"key": 1}}}'):
        (demonstrate.folder / "demo.json").write_text(content)
        demonstrate()
        assert demonstrate.subcommands.called == demonstrate.names


def test_a_folder_name_with_a_space(demonstrate, tmp_path):
    (step, *_) = steps.steps("osu018", LIBRARY)
    assert step.command(tmp_path / "a b")[1] == f"{tmp_path}/a b/scan.nii.gz"


def test_missing_packages_are_reported_before_the_first_step(tmp_path, monkeypatch, capsys):
    """Nothing is written and no step begins."""
    monkeypatch.setattr(requirements, "find_spec", lambda name: None)
    assert main(["demo", "-o", str(tmp_path / "x")]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    assert said.err.startswith("implicore demo: The demo needs torch, amaranth, ")
    assert said.err.endswith(", jinja2: install it with pip install 'implicore[demo]'.\n")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("tools", "sentence"),
    [
        ([], "Icarus Verilog is not installed: apt-get install iverilog."),
        (["iverilog", "vvp"], "Verilator needs make: apt-get install make g++ perl."),
    ],
)
def test_a_missing_tool_is_reported_in_one_sentence(tmp_path, tools, sentence):
    for name in tools:
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "implicore", "demo", "-o", tmp_path / "x"],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"implicore demo: {sentence}\n"
    assert not (tmp_path / "x").exists()


def test_the_target_follows_pdk_root(monkeypatch, tmp_path):
    pytest.importorskip("torch")
    monkeypatch.setattr("implicore.synth.timing.find_sta", lambda: "sta")
    monkeypatch.setenv("PDK_ROOT", str(tmp_path))
    with pytest.raises(BadInput, match=r"^IHP SG13G2, 130 nm needs .* which does not exist: "):
        tools.check_tools()
    monkeypatch.delenv("PDK_ROOT")
    asked = []

    def find(name):
        asked.append(name)
        raise BadInput("OSU 0.18 um needs a file: apt-get install qflow-tech-osu018.")

    monkeypatch.setattr("implicore.synth.target.find", find)
    with pytest.raises(BadInput, match="apt-get install qflow-tech-osu018"):
        tools.check_tools()
    assert asked == ["osu018"]


@pytest.mark.slow
def test_the_whole_demo(tmp_path):
    """Run it as a user does, with an empty cache, then again in seconds."""
    environment = {**os.environ, "IMPLICORE_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "implicore", "demo", "-o", tmp_path / "demo"]
    for seconds in (900, 30):
        done = subprocess.run(
            [*command, "--json", tmp_path / "demo.json"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "demo.json").read_text())
    for name in ("simulate_icarus", "simulate_verilator", "simulate"):
        assert metrics[name]["mismatches"] == 0
        assert metrics[name]["cycles"] == metrics[name]["predicted_cycles"]
    assert metrics["simulate"]["utilization"] > 0.97
    assert metrics["synth"]["nj_per_voxel"] > 0 and metrics["sweep"]["failed"] == 0
    assert (tmp_path / "demo" / "report.html").stat().st_size > 100_000
    assert (tmp_path / "demo" / "sweep" / "report.html").is_file()
