import itertools
from random import Random

import pytest

from benches import feed_forward
from benches.in_amaranth import run, smallest_config
from benches.reference import Requantization, random_requantization, results
from implicore.hw.requantizer import Requantizer


@pytest.mark.parametrize("formats", ["w4a4c8m1o8", "w4a4c8m0o8"])
def test_every_sum_at_small_widths(formats):
    config = smallest_config(formats)
    formats = config.formats
    limit = 1 << formats.offset_bits - 1
    offsets = sorted({*range(-40, 40), *range(-limit, limit, 997), -limit, limit - 1})
    multipliers = range(2) if formats.multiplier_bits else [1]
    cases = [
        Requantization(total, multiplier, shift, offset, voxel)
        for total, multiplier, shift, voxel in itertools.product(
            range(-128, 128), multipliers, (0, 1, 4, 6, 11, 63), (0, 1)
        )
        for offset in offsets[total % 32 :: 32]
    ]
    run(feed_forward.requantizer, Requantizer(formats), config, cases)


@pytest.mark.parametrize(
    "formats", ["w8a12", "w8a12m4", "w12a16", "w8a16o8", "w4a4m15o16", "w16a16c44m15"]
)
def test_random(formats):
    config = smallest_config(formats)
    formats = config.formats
    rng = Random(3)
    cases = [random_requantization(rng, formats, rng.randrange(2)) for _ in range(2000)]
    top = 1 << formats.accumulator_bits - 1
    limit = 1 << formats.offset_bits - 1
    top_multiplier = max(1, (1 << formats.multiplier_bits) - 1)
    cases += [
        Requantization(total, top_multiplier, shift, offset, voxel)
        for total in (-top, top - 1, 0, -1)
        for shift in (0, 3, 40, 63)
        for offset in (-limit, limit - 1, 0, -1)
        for voxel in (0, 1)
    ]
    assert len(set(results(cases, formats))) > 16
    run(feed_forward.requantizer, Requantizer(formats), config, cases)


@pytest.mark.parametrize("formats", ["w8a12", "w8a12m4"])
def test_a_stage_without_an_enable_keeps_its_result(formats):
    config = smallest_config(formats)
    run(feed_forward.requantizer, Requantizer(config.formats), config)
