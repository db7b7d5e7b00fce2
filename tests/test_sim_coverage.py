"""Coverage of the generated Verilog: what is counted, what is excluded, what is a hole."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Fragment

from implicore.accelerator_config import AcceleratorConfig
from implicore.formats import Formats
from implicore.hw.loader import ProgramLoader
from implicore.network_shape import NetworkShape
from implicore.random_program import random_program
from implicore.sim import session
from implicore.sim.coverage.exclusions import EXCLUSIONS
from implicore.sim.coverage.measure import Coverage, Place, instrument, measure
from implicore.sim.coverage.points import LOADER_STATES, points
from implicore.sim.coverage.sessions import SUBJECTS, script_of
from implicore.sim.coverage.table import markdown, table
from implicore.sim.script import Script

ROOT = Path(__file__).resolve().parent.parent
SHAPE = NetworkShape(1, 2, 2)
CONFIG = AcceleratorConfig.sized(1, 2, Formats.parse("w4a4m0t6c20o8"), [SHAPE])


@pytest.fixture(scope="module")
def small():
    """The coverage of a session of one program and two jobs."""
    script = Script(CONFIG)
    script.load(random_program(SHAPE, CONFIG.formats))
    script.points(np.arange(9).reshape(3, 3))
    script.points(np.arange(6).reshape(2, 3))
    return measure(script)


def test_a_session_covers_what_it_does(small):
    assert small.failures == [] and small.cycles > 100
    assert small.points["programs", "depth 2"] == 2
    assert small.points["programs", "a job of points"] == 2
    assert small.points["errors", "a program ends with NONE"] == 1
    assert small.points["tiles", "a full last tile in half 0"] >= 1
    assert small.points["memories", "write of the last word of weights"] == 1


def test_what_a_session_does_not_do_is_a_hole(small):
    assert small.points["interruptions", "abort while B is read"] == 0
    result = table(small)
    assert "functional point: interruptions: abort while B is read" in result.holes
    assert "functional point: programs: depth 2" not in result.holes
    assert any("of the functional points are covered, not 100 %" in text for text in result.missed)
    kinds = Counter(hole.partition(":")[0] for hole in result.holes)
    for kind in ("line", "branch", "toggle"):
        share = result.totals[kind]
        assert share.total - share.covered == kinds[kind] > 0
        assert share.covered > share.total / 6
    # No grid was decoded, no error occurred.
    assert result.modules["coordinate_generator"]["toggle"].percent < 20
    assert result.modules["program_loader"]["branch"].percent < 90
    assert result.modules["multiplier"]["toggle"].percent > 50


def test_every_exclusion_is_needed(small):
    needed = [e for e in EXCLUSIONS if any(e.matches(place) for place in small.places)]
    assert needed == list(EXCLUSIONS)
    shares = [sum(map(e.matches, small.places)) for e in EXCLUSIONS]
    assert table(small).excluded == shares  # none overlap


def test_the_table_names_modules_groups_and_reasons(small):
    text = markdown(table(small), ["`tiny`: one PE"], small.cycles)
    assert "| `implicore_sequencer` | " in text and "| `implicore` | " in text
    assert "| errors | " in text and "- `tiny`: one PE\n" in text
    assert all(exclusion.reason in text for exclusion in EXCLUSIONS)


def test_all_covered_reaches_the_goals():
    place = Place("toggle", "core", "0", 1, 2, "step:0->1", "output step;")
    covered = Coverage(Counter({place: 3}), Counter({("errors", "BUSY"): 1}))
    assert table(covered).missed == [] and table(covered).holes == []
    uncovered = Coverage(Counter({place: 0}), Counter({("errors", "BUSY"): 0}))
    assert [text.split(" %")[0] for text in table(uncovered).missed] == ["0.00", "0.00"]
    uncovered.add(covered)
    assert table(uncovered).missed == []


@pytest.mark.parametrize("name", SUBJECTS)
def test_functional_points_have_different_names(name):
    found = points(SUBJECTS[name].config)
    assert len({(point.group, point.name) for point in found}) == len(found)


@pytest.mark.parametrize("name", ["smallest", "patch-4"])
def test_functional_points_are_inserted(name, tmp_path):
    config = SUBJECTS[name].config
    text = "".join(path.read_text() for path in instrument(config, tmp_path).files)
    for point in points(config):
        assert f"cover property (@(posedge clk) {point.condition});" in text


def test_states_of_the_loader():
    module = ProgramLoader(CONFIG).elaborate(None)
    Fragment.get(module, None)  # else Amaranth warns that it is not used
    assert tuple(module._generated["fsm"].encoding) == LOADER_STATES


@pytest.mark.parametrize("name", ["smallest", "patch-2"])
def test_sessions_are_reproducible(name):
    first, second = (script_of(SUBJECTS[name], seed=3, steps=2) for _ in range(2))
    assert np.array_equal(
        session.encode(first.operations, 0.0, 0), session.encode(second.operations, 0.0, 0)
    )
    assert len(first.operations) > 1000


def test_unknown_accelerator_is_rejected():
    command = [sys.executable, "bench/verilog_coverage.py", "none"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "No accelerator is called none." in done.stderr
