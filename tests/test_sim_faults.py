"""Bit flips in the compiled simulator: every class, and what ends their effects."""

import re
from collections import Counter

import numpy as np
import pytest

from implicore.accelerator_config import AcceleratorConfig
from implicore.formats import Formats
from implicore.job import GridJob
from implicore.network_shape import NetworkShape
from implicore.random_program import random_program
from implicore.sim import faults, simulators
from implicore.sim.faults import CLASSES, MEMORIES, PROGRAM_MEMORIES, Flip

SHAPE = NetworkShape(frequencies=2, width=4, depth=3)
CONFIG = AcceleratorConfig.sized(2, 2, Formats.parse("w8a8"), [SHAPE], protection="secded")
PROGRAM = random_program(SHAPE, CONFIG.formats, seed=3)
STEP = 1 << 33
PLANE = GridJob((5, 4, 1), (0, 0, 0), ((STEP, 0, 0), (0, STEP, 0), (0, 0, 0)))
LINE = GridJob((5, 1, 1), (0, 0, 0), ((STEP, 0, 0), (0, STEP, 0), (0, 0, 0)))
CYCLES = faults.job_cycles(CONFIG, PROGRAM, PLANE)
STATES = faults.states_of(CONFIG)


@pytest.fixture(scope="module")
def simulator():
    return faults.build(CONFIG, optimize=False)


def flips(simulator, *chosen):
    return simulator.run(PROGRAM, PLANE, LINE, chosen)


def state(scope, name):
    """The state of this name in an instance, given by its path below the top."""
    (found,) = (s for s in STATES if (s.scope, s.name) == (f"TOP.implicore{scope}", name))
    return found


def test_every_register_of_the_verilog_is_a_state():
    text = "".join(path.read_text() for path in simulators.verilog(CONFIG))
    names = {state.name for state in STATES}
    assert names == set(re.findall(r"^ +(?:if \(\w+\) )?(\w+)(?:\[.*\])? *<= ", text, re.M)) - (
        set(re.findall(r"initial (trigger_\d+) <=", text))
    )
    memories = Counter(state.kind for state in STATES if state.words > 1)
    rows, banks = CONFIG.rows, CONFIG.weight_banks
    assert memories["activations"] == memories["features"] == rows
    assert memories["weights"] == banks and memories["constants"] == memories["coefficients"] == 1
    assert {state.kind for state in STATES} == set(CLASSES)
    weights = next(state for state in STATES if state.kind == "weights")
    assert weights.words == CONFIG.weight_depth


def test_every_bit_is_flipped_before_one_is_flipped_again():
    rng = np.random.default_rng(1)
    bits = sum(state.words * state.bits for state in STATES if state.kind == "accumulators")
    drawn = faults.random_flips(STATES, "accumulators", bits + 5, CYCLES, rng)
    places = [(flip.state, flip.word, flip.bit) for flip in drawn]
    assert len(set(places[:bits])) == bits < len(places)
    assert all(flip.bit < flip.state.bits and 0 < flip.cycle < CYCLES for flip in drawn)


def test_memories_of_the_program_are_corrected(simulator):
    rng = np.random.default_rng(2)
    for kind in PROGRAM_MEMORIES:
        drawn = faults.random_flips(STATES, kind, 4, CYCLES // 4, rng)
        outcomes = flips(simulator, *drawn)
        assert all(outcome.corrected and not outcome.errors for outcome in outcomes), kind
        assert all(outcome.voxels is None and outcome.ends for outcome in outcomes), kind
        assert {outcome.needs for outcome in outcomes} == {"nothing"}
        assert all(outcome.events >= {"done", "memory_corrected"} for outcome in outcomes)


def test_other_flips_are_masked_or_change_voxels(simulator):
    rng = np.random.default_rng(3)
    for kind in ("activations", "features", "accumulators", "data"):
        outcomes = flips(simulator, *faults.random_flips(STATES, kind, 40, CYCLES, rng))
        pictures = [outcome.voxels for outcome in outcomes]
        assert {picture is None for picture in pictures} == {True, False}, kind
        assert all(picture is None or len(picture) == PLANE.voxels for picture in pictures)
        if kind in MEMORIES.values():  # the next voxel tile writes them again
            assert {outcome.needs for outcome in outcomes} == {"nothing"}


@pytest.mark.parametrize(
    ("scope", "name", "bit", "ends", "needs"),
    [
        ("", "running", 0, False, "abort"),
        ("", "loaded", 0, True, "reload"),
        (".control", "pending", 1, True, "nothing"),
        (".core.sequencer", "layer", 1, False, "abort"),
        (".loader", "shape", 0, None, "reload"),
        (".generator", "left", 0, None, "nothing"),
    ],
)
def test_control_state(simulator, scope, name, bit, ends, needs):
    (outcome,) = flips(simulator, Flip(state(scope, name), 0, bit, CYCLES // 2))
    assert outcome.needs == needs
    assert ends is None or outcome.ends == ends


def test_no_hang_needs_a_reset(simulator):
    drawn = faults.random_flips(STATES, "control", 150, CYCLES, np.random.default_rng(4))
    for flip, outcome in zip(drawn, flips(simulator, *drawn), strict=True):
        assert outcome.ends or outcome.needs in ("nothing", "abort", "reload"), flip
        assert outcome.needs != "no recovery", flip
