import numpy as np
import pytest

from implicore.accelerator_config import AcceleratorConfig
from implicore.formats import Formats
from implicore.job import GridJob
from implicore.network_shape import NetworkShape
from implicore.random_program import random_program
from implicore.registers import Error
from implicore.sim import session
from implicore.sim.script import Script

SHAPE = NetworkShape(2, 3, 2)
CONFIG = AcceleratorConfig.sized(2, 2, Formats(6, 6), [SHAPE])
PROGRAM = random_program(SHAPE, CONFIG.formats, seed=1)
POINTS = np.random.default_rng(1).integers(-100, 100, (7, 3))


def script() -> Script:
    script = Script(CONFIG)
    script.rejected("start_grid", Error.NO_PROGRAM)
    script.load(PROGRAM)
    script.points(POINTS)
    script.grid(GridJob.of(PROGRAM.grid, PROGRAM.frame))
    return script


def perfect(script: Script) -> session.Responses:
    return session.Responses(list(script.expected), 0, 0.0)


def test_correct_responses_pass():
    assert script().mismatches(perfect(script())) == []


def test_mismatches_are_described():
    tested = script()
    at = next(n for n, e in enumerate(tested.expected) if isinstance(e, session.Decoded))
    voxels = tested.expected[at].voxels
    changed = voxels.copy()
    changed[3] ^= 1

    def response(value, at=at):
        responses = perfect(tested)
        responses.values[at] = value
        return tested.mismatches(responses)

    assert response(session.Decoded(changed, True)) == [
        f"operation {at} (Decode): 1 of 7 voxels differ, the first is number 3: "
        f"{changed[3]} instead of {voxels[3]}"
    ]
    assert response(session.Decoded(voxels[:5], False)) == [
        f"operation {at} (Decode): 5 voxels instead of 7"
    ]
    assert response(session.Decoded(voxels, False)) == [
        f"operation {at} (Decode): the last voxel had no tlast"
    ]
    cycles = tested.expected[at + 1]
    assert response(cycles + 1, at + 1) == [
        f"operation {at + 1} (Read): cycles {cycles + 1} instead of {cycles}"
    ]


def test_interrupted_job_may_deliver_any_prefix():
    tested = Script(CONFIG)
    tested.load(PROGRAM)
    tested.interrupted(POINTS, 30, reset=True)
    assert not tested.loaded
    at = next(n for n, o in enumerate(tested.operations) if isinstance(o, session.Decode))
    voxels = tested.expected[at].voxels
    for part, right in ((voxels[:2], True), (voxels[1:3], False)):
        responses = perfect(tested)
        responses.values[at] = session.Decoded(part, False)
        assert (tested.mismatches(responses) == []) == right
    with pytest.raises(ValueError, match=r"(?s)^The response to Decode.* is unknown\.$"):
        tested.expected_words()


def test_an_aborted_job_delivers_at_most_one_more_beat():
    tested = Script(CONFIG)
    tested.load(PROGRAM)
    tested.interrupted(POINTS, 30, reset=False)
    assert tested.loaded
    at = next(n for n, o in enumerate(tested.operations) if isinstance(o, session.Decode))
    voxels = tested.expected[at].voxels

    def after(count, following, ended=False):
        responses = perfect(tested)
        responses.values[at] = session.Decoded(voxels[:count], count == len(voxels))
        responses.values[at + 2] = session.Decoded(following, ended)
        return [text.partition(": ")[2] for text in tested.mismatches(responses)]

    assert not after(2, voxels[2:2]) and not after(2, voxels[2:3]) and not after(7, voxels[7:])
    assert not after(6, voxels[6:], ended=True)
    assert after(2, voxels[2:4]) == ["2 voxels after the abort"]
    assert after(2, voxels[3:4]) == ["voxels differ after the abort"]
    assert after(2, voxels[2:3], ended=True) == ["tlast changed after the abort"]
    assert after(6, voxels[6:]) == ["tlast changed after the abort"]


def test_expected_words_decode_to_the_expected_responses():
    tested = script()
    words = np.append(tested.expected_words(), [0, 0, 0, 0]).astype(np.uint32)
    assert tested.mismatches(session.decode(words, tested.operations)) == []


def test_cycles_are_not_predicted_with_stalls():
    stalled = Script(CONFIG, stall=0.1)
    stalled.load(PROGRAM)
    stalled.points(POINTS)
    names = [
        operation.name
        for operation, expected in zip(stalled.operations, stalled.expected, strict=True)
        if isinstance(operation, session.Read) and expected is None
    ]
    assert names == ["cycles", "input_stall", "output_stall"]
