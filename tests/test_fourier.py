import numpy as np
import pytest
from amaranth.sim import Simulator

from implicore.dataflow import mapper_cycles, mapper_latency
from implicore.fixed import COORDINATE
from implicore.formats import Formats
from implicore.hw.fourier import FourierLane, FourierMapper
from implicore.model.golden import Renderer
from implicore.network_shape import NetworkShape
from implicore.random_program import random_program


@pytest.mark.parametrize("formats", ["w8a8", "w8a12t12", "w8a16t14"])
@pytest.mark.parametrize(
    ("rows", "lanes", "frequencies"), [(1, 1, 1), (4, 1, 3), (4, 4, 1), (5, 2, 2), (3, 2, 7)]
)
def test_features_of_tiles(rows, lanes, frequencies, formats):
    formats = Formats.parse(formats)
    program = random_program(NetworkShape(frequencies, 1, 1), formats, seed=rows)
    number = 2 * rows + max(1, rows // 2)
    points = np.random.default_rng(0).integers(COORDINATE.low, COORDINATE.high + 1, (number, 3))
    points[0] = COORDINATE.low
    expected = Renderer(program).features(points).astype(int)
    coefficients = program.frequencies.ravel().tolist()
    mapper = FourierMapper(rows, lanes, frequencies + 2, formats)
    banks = np.full((2, rows, expected.shape[0]), -1)
    half_at = (len(mapper.address) - 1,)

    async def bench(ctx):
        ctx.set(mapper.last_frequency, frequencies - 1)
        given, cycle, asked = 0, 0, None
        full_at = []
        half = 0
        while len(full_at) < 3:
            ctx.set(mapper.points.valid, given < number)
            if given < number:
                point = {"xyz": points[given].tolist(), "last": given == number - 1}
                ctx.set(mapper.points.payload, point)
            if asked is not None:
                ctx.set(mapper.coefficient, coefficients[asked])
            taken = given < number and ctx.get(mapper.points.ready)
            enables, address = ctx.get(mapper.enables), ctx.get(mapper.address)
            for row in range(rows):
                if enables >> row & 1:
                    where = address >> half_at[0], row, address & (1 << half_at[0]) - 1
                    assert banks[where] == -1
                    banks[where] = ctx.get(mapper.features[row % lanes])
            full = ctx.get(mapper.full)
            ctx.set(mapper.release_half, full)
            if full:
                tile = len(full_at)
                full_at.append(cycle)
                first = tile * rows
                count = min(rows, number - first)
                assert ctx.get(mapper.select) == half
                assert ctx.get(mapper.tile.rows) == count - 1
                assert ctx.get(mapper.tile.last) == (tile == 2)
                got = banks[half, :count].T
                assert (got == expected[:, first : first + count]).all()
                banks[half] = -1
                half ^= 1
            enable = ctx.get(mapper.coefficient_enable)
            asked = ctx.get(mapper.coefficient_address) if enable else None
            await ctx.tick()
            cycle += 1
            given += taken
            assert cycle < 2000
        first = mapper_cycles(frequencies, rows, lanes) - 1 + mapper_latency(formats)
        assert full_at[0] == first

    simulator = Simulator(mapper)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def test_latency_of_a_lane():
    for name in ("w8a8", "w8a12t12"):
        formats = Formats.parse(name)
        # The mapper asks for a coefficient a cycle before the lane gets it; the sine comes a cycle
        # after the cosine and is readable a cycle later.
        assert mapper_latency(formats) == 1 + FourierLane(formats).latency + 2


def test_init_wrong():
    with pytest.raises(ValueError, match=r"^Mapper lanes must be an integer from 1 to 3, not 4\.$"):
        FourierMapper(3, 4, 1, Formats(8, 8))
