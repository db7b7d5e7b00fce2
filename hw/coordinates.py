"""Coordinates of a grid, one voxel per cycle, without a multiplier."""

from functools import reduce
from itertools import pairwise
from operator import or_

from amaranth import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from implicore.fixed import COORDINATE, GRID_GUARD

POSITION_BITS = COORDINATE.bits + GRID_GUARD
"""Width of an origin or an increment. Sums wrap: only the coordinates must be in range."""

COUNT_BITS = 16
"""Width of the size of a grid axis minus one."""

POINT = data.StructLayout({"xyz": data.ArrayLayout(signed(COORDINATE.bits), 3), "last": 1})
"""A point in ``COORDINATE`` units; ``last`` is high with the last point of a job."""

VECTOR = data.ArrayLayout(signed(POSITION_BITS), 3)

GRID = data.StructLayout(
    {
        "size_minus_one": data.ArrayLayout(COUNT_BITS, 3),
        "origin": VECTOR,
        "increments": data.ArrayLayout(VECTOR, 3),
    }
)
"""``implicore.job.GridJob``: size minus one of each axis, origin, increments."""

PARTS = (GRID_GUARD // 2, GRID_GUARD, POSITION_BITS)
"""Upper ends of the parts in which a position is added, one part per cycle."""


class CoordinateGenerator(wiring.Component):
    """Generate the points of a grid, the first index fastest; exact at every index.

    A point is the previous point plus one of three increments: to the next voxel of the line, to
    the first voxel of the next line, or to the first voxel of the next plane. This needs no
    multiplier, and no rounding error accumulates. The addition is pipelined in three parts, the
    lowest first, so three points are in progress at a time.

    Latency: the first point is valid four cycles after ``start``. Throughput: one point per cycle.

    Attributes
    ----------
    start : In(1)
        Start from the first point, also in the middle of a grid.
    grid : In(GRID)
        The grid. It must be stable until the last point has been accepted.
    points : Out(stream of POINT)
        The points.
    """

    def __init__(self):
        super().__init__({"start": In(1), "grid": In(GRID), "points": Out(stream.Signature(POINT))})

    def elaborate(self, platform):
        m = Module()
        grid, points = self.grid, self.points
        advance = Signal()
        m.d.comb += advance.eq(~points.valid | points.ready)

        # The next point to start: the points left after it on each axis, whether none are left,
        # and the one-hot select of what is added to reach it: the origin or one of the increments.
        active = Signal()
        left = Signal(grid.size_minus_one.shape(), reset_less=True)
        at_end = Signal(3, reset_less=True)
        addend_select = Signal(4, reset_less=True)
        with m.If(advance):
            m.d.sync += addend_select.eq(
                Cat(0, ~at_end[0], at_end[0] & ~at_end[1], at_end[:2].all())
            )
            with m.If(at_end.all()):
                m.d.sync += active.eq(0)
        with m.If(self.start):
            m.d.sync += [active.eq(1), addend_select.eq(1)]
        for axis in range(3):
            with m.If(advance & at_end[:axis].all()):
                m.d.sync += [left[axis].eq(left[axis] - 1), at_end[axis].eq(left[axis] == 1)]
            with m.If((advance & at_end[: axis + 1].all()) | self.start):
                m.d.sync += [
                    left[axis].eq(grid.size_minus_one[axis]),
                    at_end[axis].eq(grid.size_minus_one[axis] == 0),
                ]

        # The parts of the addition, one per cycle.
        addends = [grid.origin, *grid.increments]
        token, valid, carry = Cat(addend_select, at_end.all()), active, Const(0, 3)
        for low, high in pairwise((0, *PARTS)):
            position = Signal(
                data.ArrayLayout(high - low, 3), name=f"position_{low}", reset_less=True
            )
            carry_out = Signal(3, name=f"carry_{high}", reset_less=True)
            for axis in range(3):
                addend = reduce(
                    or_, (Mux(token[n], step[axis][low:high], 0) for n, step in enumerate(addends))
                )
                base = Mux(token[0], 0, position[axis])
                # An extra lowest bit carries in, so one adder suffices.
                total = Cat(carry[axis], base) + Cat(carry[axis], addend)
                with m.If(advance):
                    m.d.sync += Cat(position[axis], carry_out[axis]).eq(total[1:])
            carry = carry_out
            token_later = Signal.like(token, name=f"token_{low}", reset_less=True)
            valid_later = Signal(name=f"valid_{low}")
            with m.If(advance):
                m.d.sync += [token_later.eq(token), valid_later.eq(valid)]
            with m.If(self.start):
                m.d.sync += valid_later.eq(0)
            token, valid = token_later, valid_later
        m.d.comb += [points.valid.eq(valid), points.payload.last.eq(token[-1])]
        m.d.comb += [points.payload.xyz[axis].eq(position[axis]) for axis in range(3)]
        return m
