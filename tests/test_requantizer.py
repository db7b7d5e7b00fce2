import itertools

import numpy as np
import pytest
from amaranth.sim import Simulator

from implicore.fixed import requantize
from implicore.formats import Formats
from implicore.hw.requantizer import Requantizer


def run(formats: Formats, cases) -> list[int]:
    """Results of (sum, multiplier, shift, offset, voxel) given one a cycle."""
    unit = Requantizer(formats)
    later = Requantizer.constant_delays(formats)
    got = []

    async def bench(ctx):
        for cycle in range(len(cases) + unit.latency):
            if cycle < len(cases):
                ctx.set(unit.sum, cases[cycle][0])
            valid = (0 <= cycle - stage < len(cases) for stage in range(unit.latency))
            ctx.set(unit.enables, sum(on << stage for stage, on in enumerate(valid)))
            for name, wait in later.items():
                if not 0 <= cycle - wait < len(cases):
                    continue
                _, multiplier, shift, offset, voxel = cases[cycle - wait]
                value = {
                    "multiplier": multiplier,
                    "coarse": shift >> 3,
                    "fine": shift & 7,
                    "offset": offset,
                    "voxel": voxel,
                }[name]
                ctx.set(getattr(unit, name), value)
            if cycle >= unit.latency:
                got.append(ctx.get(unit.result))
            await ctx.tick()

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    masks = [formats.output_max if case[-1] else formats.activation_max for case in cases]
    return [value & mask for value, mask in zip(got, masks, strict=True)]


def golden(formats: Formats, cases) -> list[int]:
    sums, multipliers, shifts, offsets, voxel = (np.array(v) for v in zip(*cases, strict=True))
    high = np.where(voxel, formats.output_max, formats.activation_max)
    return requantize(sums, multipliers, offsets, shifts, high).tolist()


@pytest.mark.parametrize("formats", ["w4a4c8m1o8", "w4a4c8m0o8"])
def test_every_sum_at_small_widths(formats):
    formats = Formats.parse(formats)
    limit = 1 << formats.offset_bits - 1
    offsets = sorted({*range(-40, 40), *range(-limit, limit, 997), -limit, limit - 1})
    multipliers = range(2) if formats.multiplier_bits else [1]
    cases = [
        (total, multiplier, shift, offset, voxel)
        for total, multiplier, shift, voxel in itertools.product(
            range(-128, 128), multipliers, (0, 1, 4, 6, 11, 63), (0, 1)
        )
        for offset in offsets[total % 32 :: 32]
    ]
    assert run(formats, cases) == golden(formats, cases)


@pytest.mark.parametrize(
    "formats", ["w8a12", "w8a12m4", "w12a16", "w8a16o8", "w4a4m15o16", "w16a16c44m15"]
)
def test_random(formats):
    formats = Formats.parse(formats)
    rng = np.random.default_rng(3)
    top = 1 << formats.accumulator_bits - 1
    limit = 1 << formats.offset_bits - 1
    top_multiplier = max(1, (1 << formats.multiplier_bits) - 1)
    cases = []
    for _ in range(3000):
        total = int(rng.integers(-top, top)) >> int(rng.integers(0, formats.accumulator_bits))
        multiplier = int(rng.integers(0, top_multiplier + 1)) if formats.multiplier_bits else 1
        around = (abs(total * multiplier) >> formats.activation_bits).bit_length() + 1
        shift = int(rng.integers(0, 64)) if rng.random() < 0.3 else min(63, around)
        offset = int(rng.integers(-limit, limit)) >> int(rng.integers(0, 12))
        cases.append((total, multiplier, shift, offset, int(rng.integers(0, 2))))
    cases += [
        (total, top_multiplier, shift, offset, voxel)
        for total in (-top, top - 1, 0, -1)
        for shift in (0, 3, 40, 63)
        for offset in (-limit, limit - 1, 0, -1)
        for voxel in (0, 1)
    ]
    results = run(formats, cases)
    assert results == golden(formats, cases)
    assert len(set(results)) > 16
