"""New random cases in each run, and the reproduction and shrinking of failing cases."""

import json
import secrets
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from implicore.ecc import PROTECTIONS
from implicore.sim import campaign, simulators
from implicore.sim.campaign import Recipe, shrink
from implicore.sim.cases import GROUP, STEPS, Size, random_case

ROOT = Path(__file__).resolve().parent.parent
QUICK = Size(side=6, frequencies=6, width=14, depth=6, points=24, steps=4)
FRESH = secrets.randbelow(10**6) * GROUP
"""The first of this run's seeds."""


@pytest.mark.parametrize("group", range(4))
def test_new_random_cases_pass(group):
    for seed in range(FRESH + group * GROUP, FRESH + (group + 1) * GROUP):
        recipe = Recipe(seed, QUICK, tuple(range(QUICK.steps)))
        print(f"reproduce with: {recipe.command()}")
        assert campaign.run(recipe.case()) == []


def test_a_seed_determines_the_case():
    first, again, other = (random_case(seed) for seed in (7, 7, 8))
    assert first.describe() == again.describe() != other.describe()
    assert first.config == again.config == other.config  # of one group
    assert random_case(7 + GROUP).config != first.config
    assert [p.digest for p in first.programs] == [p.digest for p in again.programs]


def test_steps_can_be_omitted():
    whole = random_case(3)
    part = random_case(3, keep=[0, 2])
    assert part.steps == [whole.steps[0], whole.steps[2]]
    assert part.config == whole.config
    assert len(part.script.operations) < len(whole.script.operations)


def test_random_cases_cover_all_kinds():
    cases = [random_case(seed) for seed in range(0, 60 * GROUP, GROUP)]
    configs = [case.config for case in cases]
    formats = [config.formats for config in configs]
    assert {min(c.rows for c in configs), max(c.rows for c in configs)} == {1, 24}
    assert {step for case in cases for step in case.steps} == set(STEPS)
    assert {case.stall == 0 for case in cases} == {True, False}
    assert {c.gate_zeros for c in configs} == {True, False}
    assert {c.protection for c in configs} == set(PROTECTIONS)
    assert {f.multiplier_bits == 0 for f in formats} == {True, False}
    assert {f.table_address_bits >= 12 for f in formats} == {True, False}
    shapes = [program.shape for case in cases for program in case.programs]
    assert {shape.depth for shape in shapes} >= {1, 2, 3}
    assert any(shape.depth in shape.skips for shape in shapes)
    assert {c.voxels_per_beat for c in configs} == {1, 2, 4, 8}
    assert {shape.outputs == 1 for shape in shapes} == {True, False}
    patches = [program.patch for case in cases for program in case.programs]
    assert any(sum(edge > 1 for edge in patch) > 1 for patch in patches)
    weights = [{int(w) for w in p.layers[0].weights.ravel()} for c in cases for p in c.programs]
    assert any(values == {0} for values in weights)
    assert any(len(values) == 1 and min(values) < 0 for values in weights)


def test_shrunk_recipe_still_fails():
    begin = Recipe(1, Size(), (0, 1, 2, 3, 4))

    def fails(case):
        return case.config.rows > 2 and "points" in case.steps

    small = shrink(begin, fails, attempts=200)
    case = small.case()
    assert fails(case)
    assert case.config.rows <= 6 and len(small.keep) == 1
    assert small.size.points == 1 and small.size.width <= 2


def test_command_reproduces_the_case():
    recipe = Recipe(12, Size(side=3, points=2), (0, 2))
    assert recipe.command() == (
        "python bench/campaign.py --count 1 --seed 12 --size side=3,points=2 --keep 0,2"
    )
    assert Recipe(1, Size(), (0, 1, 2, 3, 4)).command().endswith("--count 1 --seed 1")


def test_campaign_script_writes_a_report(tmp_path):
    command = Recipe(11, Size(side=2, width=3, depth=2, points=3, steps=1), (0,)).command().split()
    done = subprocess.run(
        [sys.executable, *command[1:], "--simulator", "icarus", "--json", tmp_path / "x.json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "x.json").read_text())
    assert report["cases"] == 1 and report["failed"] == {} and report["steps"] == {"points": 1}


def test_broken_accelerator_fails(monkeypatch, tmp_path):
    """Every bank stores all words at address 0."""

    def broken(config):
        sources = []
        for path in real(config):
            folder = tmp_path / path.parent.name
            folder.mkdir(exist_ok=True)
            sources.append(folder / path.name)
            text = path.read_text()
            sources[-1].write_text(text.replace("words[write_address] <=", "words[0] <="))
        return sources

    real = simulators.verilog
    for module in (simulators, campaign.cosim, campaign.fast):
        monkeypatch.setattr(module, "verilog", broken)
    recipe = Recipe(5, Size(side=2, width=3, depth=2, points=3, steps=2), (0, 1))
    assert campaign.run(recipe.case(), "icarus")


def test_points_and_grids_are_within_the_coordinate_format():
    rng = np.random.default_rng(1)
    from implicore.fixed import COORDINATE
    from implicore.sim.cases import random_grid, random_points

    for most in (1, 2, 7, 60):
        for _ in range(50):
            job = random_grid(rng, most)
            assert 1 <= job.voxels <= most
            assert COORDINATE.holds(job.coordinates(0, job.voxels))
            assert COORDINATE.holds(random_points(rng, most))
