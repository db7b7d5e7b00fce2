"""Coordinates of a grid, one voxel a cycle, without a multiplier."""

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from implicore.fixed import COORDINATE, GRID_GUARD

POSITION_BITS = COORDINATE.bits + GRID_GUARD
"""Width of an origin or a step. Sums wrap: only the result has to be in range."""

COUNT_BITS = 16
"""Width of a grid axis' greatest index, the number of samples less one."""

POINT = data.StructLayout({"xyz": data.ArrayLayout(signed(COORDINATE.bits), 3), "last": 1})
"""A point in ``COORDINATE`` units; ``last`` ends the job."""

VECTOR = data.ArrayLayout(signed(POSITION_BITS), 3)

GRID = data.StructLayout(
    {
        "ends": data.ArrayLayout(COUNT_BITS, 3),
        "origin": VECTOR,
        "steps": data.ArrayLayout(VECTOR, 3),
    }
)
"""``implicore.job.GridJob``; ``ends`` are the samples of each axis less one."""


class CoordinateGenerator(wiring.Component):
    """Walks a grid with the first index fastest; exact at every index.

    Beside the position it keeps those of the line's and the plane's first voxel, so that nothing
    is multiplied and nothing accumulates but exact integers.

    Latency: the first point stands one cycle after ``start``. Throughput: a point a cycle.

    Attributes
    ----------
    start : In(1)
        Begin anew; ``grid`` must hold its value until the last point has been taken.
    grid : In(GRID)
    points : Out(stream of POINT)
    """

    def __init__(self):
        super().__init__({"start": In(1), "grid": In(GRID), "points": Out(stream.Signature(POINT))})

    def elaborate(self, platform):
        """Amaranth's hook."""
        m = Module()
        grid, points = self.grid, self.points
        index = Signal(grid.ends.shape(), reset_less=True)
        voxel, line, plane = (
            Signal(VECTOR, name=name, reset_less=True) for name in ("voxel", "line", "plane")
        )
        busy = Signal()
        at_end = Signal(3)
        m.d.comb += [at_end[axis].eq(index[axis] == grid.ends[axis]) for axis in range(3)]
        m.d.comb += [points.valid.eq(busy), points.payload.last.eq(at_end.all())]
        for axis in range(3):
            m.d.comb += points.payload.xyz[axis].eq(voxel[axis] >> GRID_GUARD)

        with m.If(points.valid & points.ready):
            m.d.sync += index[0].eq(Mux(at_end[0], 0, index[0] + 1))
            with m.If(at_end[0]):
                m.d.sync += index[1].eq(Mux(at_end[1], 0, index[1] + 1))
            with m.If(at_end[:2].all()):
                m.d.sync += index[2].eq(index[2] + 1)
            with m.If(at_end.all()):
                m.d.sync += busy.eq(0)
            # One adder an axis: the next voxel lies one step after this one, or after the first
            # of this line, or after the first of this plane.
            for axis in range(3):
                base = Mux(at_end[0], Mux(at_end[1], plane[axis], line[axis]), voxel[axis])
                step = Mux(
                    at_end[0],
                    Mux(at_end[1], grid.steps[2][axis], grid.steps[1][axis]),
                    grid.steps[0][axis],
                )
                following = Signal(signed(POSITION_BITS), name=f"following_{axis}")
                m.d.comb += following.eq(base + step)
                m.d.sync += voxel[axis].eq(following)
                with m.If(at_end[0]):
                    m.d.sync += line[axis].eq(following)
                with m.If(at_end[:2].all()):
                    m.d.sync += plane[axis].eq(following)
        with m.If(self.start):
            m.d.sync += [
                busy.eq(1),
                index.eq(0),
                voxel.eq(grid.origin),
                line.eq(grid.origin),
                plane.eq(grid.origin),
            ]
        return m
