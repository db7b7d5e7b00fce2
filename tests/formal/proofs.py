# amaranth: UnusedElaboratable=no
"""Formal proofs of the control logic.

A *harness* instantiates a component, assumes what its environment guarantees and asserts what the
component guarantees. Each proof comes with a *fault*, a changed expression in the component's
source, for which it must fail: a proof that cannot fail proves nothing.

The mode ``prove`` is k-induction and holds for all time. ``bmc`` is bounded model checking, which
covers every behaviour for a number of cycles after reset.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Literal

from amaranth import Module, Mux, ResetSignal, Signal, Value
from amaranth.back import rtlil
from amaranth.hdl import Assert, Assume
from amaranth.lib.wiring import In

from implicore.accelerator_config import AcceleratorConfig
from implicore.dataflow import FIFO_LATENCY, requantizer_latency, voxel_read_latency
from implicore.formats import Formats
from implicore.network_shape import NetworkShape

FORMATS = Formats.parse("w4a4o8")
TINY = AcceleratorConfig.sized(2, 2, FORMATS, [NetworkShape(1, 3, 3, (2, 3))])


@dataclass(frozen=True)
class Proof:
    """A property, how it is proven, and the fault that must break it.

    Parameters
    ----------
    module : str
        Name of the component's module in ``implicore.hw``.
    harness : function
        Takes that module, with or without the fault, and returns the harness.
    mode : str
        ``prove`` or ``bmc``.
    depth : int
        Induction length, or cycles from reset.
    fault : tuple of (str, str)
        An expression in the module's source, and its replacement.
    """

    module: str
    harness: Callable[[ModuleType | SimpleNamespace], Harness]
    mode: Literal["prove", "bmc"]
    depth: int
    fault: tuple[str, str]


def _past(m: Module, value, name: str):
    """Return the value of the previous cycle."""
    past = Signal(value.shape(), name=name)
    m.d.sync += past.eq(value)
    return past


class Harness:
    """A module ``m`` around a component. Its inputs and the signals of ``free`` are unconstrained.

    ``begun`` is high from the second cycle on, when a previous cycle exists.
    """

    def __init__(self, component):
        self.m = m = Module()
        m.submodules.dut = component
        self.begun = Signal()
        m.d.sync += self.begun.eq(1)
        m.d.comb += Assume(~ResetSignal())
        flat = component.signature.flatten(component)
        self.free = [Value.cast(value) for _, member, value in flat if member.flow == In]

    def rtlil(self) -> str:
        """Return the harness as RTLIL, with the free signals as ports."""
        return rtlil.convert(self.m, name="top", ports=self.free, emit_src=False)


def _holds_under_stall(harness: Harness, valid, ready, payload, restart=None):
    """Assert that a valid transfer stays valid, with the same payload, until accepted.

    A cycle in which ``restart`` is high is exempt.
    """
    m = harness.m
    stalled = _past(m, valid & ~ready if restart is None else valid & ~ready & ~restart, "stalled")
    before = _past(m, payload, "payload_before")
    with m.If(harness.begun & stalled):
        m.d.comb += [Assert(valid), Assert(payload == before)]


def axi_lite(module) -> Harness:
    """A response is stable until accepted, and every request has exactly one response."""
    dut = module.ControlRegisters()
    harness = Harness(dut)
    m = harness.m
    _holds_under_stall(harness, dut.bvalid, dut.bready, dut.bresp)
    stalled_read = _past(m, dut.rvalid & ~dut.rready, "stalled_read")
    data_before = _past(m, dut.rdata, "data_before")
    with m.If(harness.begun & stalled_read):
        m.d.comb += [Assert(dut.rvalid), Assert(dut.rdata == data_before)]
    # Requests that were accepted and whose response was not: registered or executed.
    for name, accepted, registered, response, response_valid in (
        ("aw", dut.awvalid & dut.awready, ~dut.awready, dut.bvalid & dut.bready, dut.bvalid),
        ("w", dut.wvalid & dut.wready, ~dut.wready, dut.bvalid & dut.bready, dut.bvalid),
        ("ar", dut.arvalid & dut.arready, ~dut.arready, dut.rvalid & dut.rready, dut.rvalid),
    ):
        open_requests = Signal(3, name=name)
        m.d.sync += open_requests.eq(open_requests + accepted - response)
        m.d.comb += Assert(open_requests == registered + response_valid)
    return harness


def grid_points(module) -> Harness:
    """A point is stable until accepted."""
    dut = module.CoordinateGenerator()
    harness = Harness(dut)
    m = harness.m
    grid_before = _past(m, dut.grid.as_value(), "grid_before")
    with m.If(harness.begun):
        m.d.comb += Assume(dut.grid.as_value() == grid_before)
    points = dut.points
    payload = points.payload.as_value()
    _holds_under_stall(harness, points.valid, points.ready, payload, dut.start)
    return harness


def voxels(module) -> Harness:
    """A voxel is stable until accepted, and the n-th voxel delivered is the n-th put, per tile."""
    rows, bits = 3, 4
    dut = module.VoxelBuffer(rows, bits)
    harness = Harness(dut)
    m = harness.m
    # The rows put one voxel each after a reservation.
    put = Signal(range(rows + 1), init=rows)
    with m.If(dut.put):
        m.d.sync += put.eq(put + 1)
    with m.If(dut.reserve):
        m.d.sync += put.eq(0)
    m.d.comb += [
        Assume(~dut.reserve | dut.free),
        Assume(~dut.put | (put < rows)),
        Assume(~(dut.put & dut.reserve)),
        Assume(dut.tile.rows < rows),
    ]
    payload = dut.voxels.payload.as_value()
    _holds_under_stall(harness, dut.voxels.valid, dut.voxels.ready, payload)

    # For an arbitrary but fixed number: the voxel put as number `chosen` is delivered as such.
    chosen = Signal(2)
    harness.free.append(chosen)
    chosen_before = _past(m, chosen, "chosen_before")
    value = Signal(bits)
    with m.If(harness.begun):
        m.d.comb += Assume(chosen == chosen_before)
    with m.If(dut.put & (put == chosen)):
        m.d.sync += value.eq(dut.value)
    tile = Signal(dut.tile.shape())
    delivered = Signal(range(rows + 1))
    transfer = dut.voxels.valid & dut.voxels.ready
    with m.If(transfer):
        m.d.sync += delivered.eq(delivered + 1)
        m.d.comb += [
            Assert(delivered < put),
            Assert(delivered <= tile.rows),
            Assert(dut.voxels.payload.last == (tile.last & (delivered == tile.rows))),
        ]
        with m.If(delivered == chosen):
            m.d.comb += Assert(dut.voxels.payload.value == value)
    with m.If(dut.reserve):
        m.d.sync += [delivered.eq(0), tile.eq(dut.tile)]
        # All voxels of the previous tile were delivered.
        m.d.comb += Assert((put == rows) & ((delivered == tile.rows + 1) | ~_ever(m, dut.reserve)))
    return harness


def voxel_packer(module) -> Harness:
    """A beat is stable until accepted; the n-th voxel delivered is the n-th that came.

    Every beat is full but the last of a job, which ends with the job's last voxel. When the last
    word of a job has come, a beat is valid until all voxels are delivered.
    """
    per_beat, bits = 2, 1
    dut = module.VoxelPacker(per_beat, bits)
    harness = Harness(dut)
    m = harness.m
    word, beat = dut.words.payload, dut.beats.payload
    _holds_under_stall(harness, dut.beats.valid, dut.beats.ready, beat.as_value())
    chosen, value = Signal(5), Signal(bits)
    harness.free.append(chosen)
    chosen_before = _past(m, chosen, "chosen_before")
    with m.If(harness.begun):
        m.d.comb += Assume(chosen == chosen_before)

    accepted, delivered = Signal(5), Signal(5)  # voxels
    ended = Signal()  # the last word that came was the last one of a job
    with m.If(dut.words.valid & dut.words.ready):
        m.d.sync += [accepted.eq(accepted + word.more + 1), ended.eq(word.last)]
        place = (chosen - accepted)[:5]
        with m.If(place <= word.more):
            m.d.sync += value.eq(word.value.word_select(place[0], bits))
    kept = sum(beat.keep[number] for number in range(per_beat))
    after = (delivered + kept)[:5]
    with m.If(dut.beats.valid & dut.beats.ready):
        m.d.sync += delivered.eq(after)
        m.d.comb += [
            Assert(beat.keep == ((1 << kept) - 1)[:per_beat]),
            Assert((kept == per_beat) | (beat.last & (kept != 0))),
            Assert((accepted - delivered)[:5] >= kept),
            Assert(beat.last == (ended & (after == accepted))),
        ]
        place = (chosen - delivered)[:5]
        with m.If(place < kept):
            m.d.comb += Assert(beat.value.word_select(place[0], bits) == value)
    with m.If(ended & (delivered != accepted)):
        m.d.comb += Assert(dut.beats.valid)
    return harness


def voxel_reader(module) -> Harness:
    """No half is free while it is unread, and none is read before it is complete.

    The words on their way and in the FIFO never exceed its depth, and no word is invented.
    """
    rows, outputs, bits = 2, 3, 1
    dut = module.VoxelReader(rows, outputs, 1, bits)
    harness = Harness(dut)
    m = harness.m
    # Points that are not read yet, and whether they are complete, by half.
    points = [Signal(range(rows + 1), name=f"points_{half}") for half in range(2)]
    complete = [Signal(name=f"complete_{half}") for half in range(2)]
    reserving, completing, reading = (
        Signal(name=name) for name in ("reserving", "completing", "reading")
    )
    m.d.comb += [
        Assume(dut.last_output == outputs - 1),
        Assume(dut.tile.rows < rows),
        Assume(~dut.reserve | dut.free),
        Assert(dut.half == completing),
    ]
    m.d.sync += [
        reserving.eq(reserving ^ dut.reserve),
        completing.eq(completing ^ dut.complete),
    ]
    for half in range(2):
        with m.If(reserving == half):
            m.d.comb += Assert(~dut.free | (points[half] == 0))
            with m.If(dut.reserve):
                m.d.sync += points[half].eq(dut.tile.rows + 1)
        with m.If(completing == half):
            m.d.comb += Assume(~dut.complete | ((points[half] != 0) & ~complete[half]))
            with m.If(dut.complete):
                m.d.sync += complete[half].eq(1)
        with m.If(dut.point & (reading == half)):
            m.d.comb += Assert((points[half] != 0) & complete[half])
            m.d.sync += points[half].eq(points[half] - 1)
            with m.If(points[half] == 1):
                m.d.sync += [complete[half].eq(0), reading.eq(1 - half)]

    # Words that were read and not delivered. Without the words' contents, the solver is quick.
    waiting = Signal(5)
    transfer = dut.words.valid & dut.words.ready
    m.d.sync += waiting.eq(waiting + dut.read_enables.any() - transfer)
    m.d.comb += [
        Assert(waiting <= voxel_read_latency(rows) + FIFO_LATENCY + 3),
        Assert(~transfer | (waiting != 0)),
    ]
    return harness


def _ever(m: Module, event):
    """Return whether the event has happened in an earlier cycle."""
    seen = Signal(name="seen")
    with m.If(event):
        m.d.sync += seen.eq(1)
    return seen


def features(module) -> Harness:
    """No half of the feature banks is written while it is read; no point is lost or duplicated.

    A full tile is stable until released. It never has more points than were accepted.
    """
    rows = 2
    dut = module.FourierMapper(rows, 1, 1, FORMATS)
    harness = Harness(dut)
    m = harness.m
    m.d.comb += [Assume(~dut.release_half | dut.full), Assume(dut.last_frequency == 0)]
    tile = dut.tile.as_value()
    _holds_under_stall(harness, dut.full, dut.release_half, tile)
    with m.If(dut.enables.any() & dut.full):
        m.d.comb += Assert(dut.address[-1] != dut.select)
    # Accepted points minus released points: at least 0, at most the capacity of both halves.
    open_points = Signal(4)
    transfer = dut.points.valid & dut.points.ready
    released = Mux(dut.release_half, dut.tile.rows + 1, 0)
    m.d.sync += open_points.eq(open_points + transfer - released)
    m.d.comb += Assert(open_points <= 2 * rows)
    with m.If(dut.full):
        m.d.comb += Assert(open_points > dut.tile.rows)
    return harness


def sequencer(module) -> Harness:
    """While the streams do not stall, at most ``BOUND`` cycles pass without a step.

    The environment behaves like the core: a result is written one requantizer latency after its
    accumulator drains; features and space for voxels are available within a few cycles.
    """
    dut = module.Sequencer(TINY)
    harness = Harness(dut)
    m = harness.m
    first = Signal(init=1)
    m.d.sync += first.eq(0)
    shape = dut.shape.as_value()
    shape_before = _past(m, shape, "shape_before")
    m.d.comb += [
        Assume(dut.start == first),
        Assume(dut.running == ~first),
        Assume(first | (shape == shape_before)),
        Assume(dut.shape.last_frequency < TINY.frequencies),
        Assume(dut.shape.last_neuron < TINY.width),
        Assume(dut.shape.last_layer < TINY.depth),
    ]
    limit = 3
    for name, available, used in (
        ("full", dut.full, dut.release_half),
        ("output", dut.output_free, dut.finish),
    ):
        waited = Signal(range(limit + 1), name=f"{name}_waited")
        m.d.sync += waited.eq(Mux(available | used, 0, waited + 1))
        kept = _past(m, available & ~used, f"{name}_kept")
        m.d.comb += [Assume(waited < limit), Assume(~kept | available)]
    written = dut.drain & ~dut.voxel & ~dut.output_mac
    for cycle in range(4 + requantizer_latency(FORMATS)):
        written = _past(m, written, f"written_{cycle}")
    m.d.comb += Assume(dut.written == written)

    idle = Signal(range(BOUND + 2))
    m.d.sync += idle.eq(Mux(dut.weight_enable | first, 0, idle + 1))
    m.d.comb += Assert(idle <= BOUND)
    return harness


BOUND = 2 + 9 + requantizer_latency(FORMATS) + 4
"""Cycles: the columns of a tile, the bypass sum, the write to the activation bank, a margin."""

PROOFS = {
    "axi_lite": Proof(
        "control",
        axi_lite,
        "prove",
        7,
        ("read_full & ~self.rvalid", "read_full"),
    ),
    "grid_points": Proof(
        "coordinates",
        grid_points,
        "prove",
        8,
        ("~points.valid | points.ready", "1"),
    ),
    "voxels": Proof(
        "voxels", voxels, "bmc", 14, ("claimed & ~delivered & ((level != 0) | self.put)", "claimed")
    ),
    "voxel_packer": Proof(
        "voxel_packer",
        voxel_packer,
        "bmc",
        10,
        ("word.last & overflow.any() & (left != 0)", "0"),
    ),
    "voxel_reader": Proof("voxel_reader", voxel_reader, "bmc", 17, ("(room > 1) | taken", "1")),
    "features": Proof(
        "fourier",
        features,
        "bmc",
        26,
        ("~tile_full | ~occupied.bit_select(~fill_select, 1)", "1"),
    ),
    "sequencer": Proof(
        "sequencer",
        sequencer,
        "bmc",
        40,
        (
            "first_tile & (position >= written_count)",
            "first_tile & (position + 1 >= written_count)",
        ),
    ),
}
