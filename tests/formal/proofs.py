# amaranth: UnusedElaboratable=no
"""Formal proofs of the control logic."""

from __future__ import annotations

from amaranth import Mux, Signal
from amaranth.hdl import Assert, Assume

from implicore.dataflow import FIFO_LATENCY, requantizer_latency, voxel_read_latency

from .bus import BUS_PROOFS
from .harness import FORMATS, TINY, Harness, Proof, ever, holds_under_stall, past


def grid_points(module) -> Harness:
    """A point is stable until accepted."""
    dut = module.CoordinateGenerator()
    harness = Harness(dut)
    m = harness.m
    grid_before = past(m, dut.grid.as_value(), "grid_before")
    with m.If(harness.begun):
        m.d.comb += Assume(dut.grid.as_value() == grid_before)
    points = dut.points
    payload = points.payload.as_value()
    holds_under_stall(harness, points.valid, points.ready, payload, dut.start)
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
    holds_under_stall(harness, dut.voxels.valid, dut.voxels.ready, payload)

    # For an arbitrary but fixed number: the voxel put as number `chosen` is delivered as such.
    chosen = Signal(2)
    harness.free.append(chosen)
    chosen_before = past(m, chosen, "chosen_before")
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
        m.d.comb += Assert((put == rows) & ((delivered == tile.rows + 1) | ~ever(m, dut.reserve)))
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
    holds_under_stall(harness, dut.beats.valid, dut.beats.ready, beat.as_value())
    chosen, value = Signal(5), Signal(bits)
    harness.free.append(chosen)
    chosen_before = past(m, chosen, "chosen_before")
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
    holds_under_stall(harness, dut.full, dut.release_half, tile)
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
    shape_before = past(m, shape, "shape_before")
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
        kept = past(m, available & ~used, f"{name}_kept")
        m.d.comb += [Assume(waited < limit), Assume(~kept | available)]
    written = dut.drain & ~dut.voxel & ~dut.output_mac
    for cycle in range(4 + requantizer_latency(FORMATS)):
        written = past(m, written, f"written_{cycle}")
    m.d.comb += Assume(dut.written == written)

    idle = Signal(range(BOUND + 2))
    m.d.sync += idle.eq(Mux(dut.weight_enable | first, 0, idle + 1))
    m.d.comb += Assert(idle <= BOUND)
    return harness


BOUND = 2 + 9 + requantizer_latency(FORMATS) + 4
"""Cycles: the columns of a tile, the bypass sum, the write to the activation bank, a margin."""

PROOFS = {
    **BUS_PROOFS,
    "grid_points": Proof(
        "coordinates",
        grid_points,
        "pdr",
        0,
        ("~points.valid | points.ready", "1"),
    ),
    "voxels": Proof(
        "voxels", voxels, "pdr", 0, ("claimed & ~delivered & ((level != 0) | self.put)", "claimed")
    ),
    "voxel_packer": Proof(
        "voxel_packer",
        voxel_packer,
        "pdr",
        0,
        ("word.last & overflow.any() & (left != 0)", "0"),
    ),
    "voxel_reader": Proof("voxel_reader", voxel_reader, "pdr", 0, ("(room > 1) | taken", "1")),
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
