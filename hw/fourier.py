"""Fourier feature mapping: cosines and sines of the phases of points."""

from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from implicore.arguments import require_integer
from implicore.dataflow import decoder_latency, mapper_latency, release_delay
from implicore.fixed import COORDINATE, FREQUENCY, PHASE_FRACTION
from implicore.formats import Formats

from .coordinates import POINT
from .memory import address_bits
from .pipeline import delay_line, enabled_register
from .sincos import SinCosTable


class FourierLane(wiring.Component):
    """One multiply-accumulate and one sine table: three cycles per frequency, one for each axis.

    Products are computed in two halves, so that this multiplier is no slower than the array's.

    Latency: ``latency`` cycles from the coefficient of z to the cosine, one more to the sine.
    Throughput: one frequency per three cycles.

    Parameters
    ----------
    formats : Formats

    Attributes
    ----------
    load : In(1)
        Load ``point``.
    point : In, array of 3 x signed(16)
        x, y and z.
    coefficient : In(signed(16))
        The coefficients of B, in the order x, y, z for each frequency.
    advance : In(1)
        ``coefficient`` is valid; the next one is multiplied by the next coordinate.
    first : In(1)
        The coefficient belongs to x.
    done : In(1)
        The phase is complete: high ``DONE`` cycles after the coefficient of z. Cosine and sine are
        looked up in the next two cycles.
    feature : Out(activation_bits)
        The cosine, then the sine.
    """

    DONE = 4

    def __init__(self, formats: Formats):
        self.formats = formats
        super().__init__(
            {
                "load": In(1),
                "point": In(POINT["xyz"].shape),
                "coefficient": In(signed(FREQUENCY.bits)),
                "advance": In(1),
                "first": In(1),
                "done": In(1),
                "feature": Out(formats.activation_bits),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from the coefficient of z to the cosine."""
        table = SinCosTable(self.formats.table_address_bits, self.formats.activation_bits)
        return self.DONE + 1 + table.latency

    def elaborate(self, platform):
        m = Module()
        formats = self.formats
        m.submodules.table = table = SinCosTable(
            formats.table_address_bits, formats.activation_bits
        )
        coordinates = Signal(POINT["xyz"].shape, reset_less=True)
        bits = coordinates.as_value()
        with m.If(self.advance):
            m.d.sync += bits.eq(bits.rotate_right(COORDINATE.bits))
        with m.If(self.load):
            m.d.sync += coordinates.eq(self.point)

        half = COORDINATE.bits // 2
        operand = Signal.like(self.coefficient, reset_less=True)
        coordinate = Signal(signed(COORDINATE.bits), reset_less=True)
        # A phase is modulo one turn, so PHASE_FRACTION bits of every operand suffice.
        low = Signal(PHASE_FRACTION, reset_less=True)
        high = Signal(PHASE_FRACTION - half, reset_less=True)
        product = Signal(PHASE_FRACTION, reset_less=True)
        total = Signal(PHASE_FRACTION, reset_less=True)
        first = delay_line(m, self.first, 3, name="first")
        # A stage is enabled only for a valid coefficient, so its clock can be gated.
        stages = (
            [operand.eq(self.coefficient), coordinate.eq(coordinates[0])],
            [low.eq(operand * coordinate[:half]), high.eq(operand * coordinate[half:].as_signed())],
            product.eq(low + (high << half)),
            total.eq(Mux(first, 0, total) + product),
        )
        for number, registers in enumerate(stages):
            with m.If(delay_line(m, self.advance, number, name=f"advance_{number}")):
                m.d.sync += registers
        phase = Signal(formats.table_address_bits, reset_less=True)
        with m.If(self.done):
            m.d.sync += phase.eq(total[PHASE_FRACTION - formats.table_address_bits :])
        m.d.comb += [
            table.phase.eq(phase),
            table.cosine.eq(delay_line(m, self.done, 1, name="cosine")),
            self.feature.eq(table.value),
        ]
        return m


def tile_layout(rows: int):
    """Return the layout of a voxel tile's size.

    ``rows`` is the number of points minus one; ``last`` marks the last tile of a job.
    """
    return data.StructLayout({"rows": address_bits(rows), "last": 1})


class FourierMapper(wiring.Component):
    """Fill the halves of the feature banks in turn, each with one voxel tile.

    The mapper loads one point per lane, one per cycle, and then reads B once, three cycles per
    frequency. These points are a *lane batch*: batch b makes the features of rows ``b * lanes`` to
    ``b * lanes + lanes - 1``. A tile ends after all rows, or with the batch that holds the last
    point.

    Latency: ``dataflow.mapper_latency`` cycles from the read of a tile's last coefficient to
    ``full``. Throughput: one tile per ``dataflow.mapper_cycles``.

    Parameters
    ----------
    rows : int
        Points of a full tile.
    lanes : int
        1 to ``rows``.
    frequencies : int
        Maximum number of frequencies.
    formats : Formats
    protection : str
        The code of the coefficient memory, which delays the coefficients by its decoder.

    Attributes
    ----------
    points : In(stream of POINT)
        The points of a job.
    last_frequency : In
        The program's number of frequencies minus one.
    coefficient_enable, coefficient_address : Out
        The read port of the coefficient memory: x, y and z of each frequency.
    coefficient : In(signed(16))
        The coefficient, one cycle after its address, or two with protection.
    enables : Out(rows)
        The write enable of each row's feature bank.
    address : Out
        The write address of all banks: the half in the highest bit; cosines come before sines.
    features : Out, array of lanes x activation_bits
        The write data: row r takes the feature of lane ``r % lanes``.
    full : Out(1)
        The features of the oldest tile can be read.
    select : Out(1)
        The half that holds them.
    tile : Out(tile_layout(rows))
        The size of that tile.
    release_half : In(1)
        The oldest tile is finished: row 0 reads its last feature. Its half can be written again
        ``dataflow.release_delay`` cycles later.
    """

    def __init__(
        self,
        rows: int,
        lanes: int,
        frequencies: int,
        formats: Formats,
        *,
        protection: str = "none",
    ):
        require_integer("Mapper", "lanes", lanes, 1, rows)
        self.rows = rows
        self.lanes = lanes
        self.frequencies = frequencies
        self.formats = formats
        self.protection = protection
        super().__init__(
            {
                "points": In(stream.Signature(POINT)),
                "last_frequency": In(address_bits(frequencies)),
                "coefficient_enable": Out(1),
                "coefficient_address": Out(address_bits(3 * frequencies)),
                "coefficient": In(signed(FREQUENCY.bits)),
                "enables": Out(rows),
                "address": Out(address_bits(2 * frequencies) + 1),
                "features": Out(data.ArrayLayout(formats.activation_bits, lanes)),
                "full": Out(1),
                "select": Out(1),
                "tile": Out(tile_layout(rows)),
                "release_half": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        points = self.points
        running = Signal()
        # The half that is filled, the half that is free next, the tiles of both halves, and the
        # half that is read.
        fill_select = Signal()
        free_select = Signal()
        occupied = Signal(2)
        tiles = Signal(data.ArrayLayout(tile_layout(self.rows), 2), reset_less=True)
        read_select = Signal()
        full_halves = Signal(2)
        m.d.comb += [
            self.full.eq(full_halves.bit_select(read_select, 1)),
            self.select.eq(read_select),
            self.tile.eq(tiles[read_select]),
        ]

        # Loading: `row` counts the points of the tile, `lane` those of the batch (one-hot).
        row = Signal(address_bits(self.rows))
        lane = Signal(self.lanes, init=1)
        tile_full = Signal()
        ready = Signal(init=1)
        m.d.comb += points.ready.eq(ready)
        loaded = points.valid & ready
        row_ends = (row == self.rows - 1) | points.payload.last
        with m.If(loaded):
            m.d.sync += [
                occupied.bit_select(fill_select, 1).eq(1),
                tiles[fill_select].rows.eq(row),
                tiles[fill_select].last.eq(points.payload.last),
                row.eq(row + 1),
                lane.eq(lane << 1),
            ]
            with m.If(lane[-1] | row_ends):
                m.d.sync += [running.eq(1), lane.eq(1), ready.eq(0)]
            with m.If(row_ends):
                m.d.sync += tile_full.eq(1)

        # Reading B.
        axis = Signal(3, init=1)
        frequency = Signal(address_bits(self.frequencies))
        batch_ends = Signal()
        tile_ends = Signal()
        m.d.comb += [
            self.coefficient_enable.eq(running),
            batch_ends.eq(running & axis[2] & (frequency == self.last_frequency)),
            tile_ends.eq(batch_ends & tile_full),
        ]
        with m.If(running):
            m.d.sync += [
                axis.eq(axis.rotate_left(1)),
                self.coefficient_address.eq(self.coefficient_address + 1),
            ]
            with m.If(axis[2]):
                m.d.sync += frequency.eq(frequency + 1)
        with m.If(batch_ends):
            m.d.sync += [running.eq(0), self.coefficient_address.eq(0), frequency.eq(0)]
            # Only the first point of a tile may have to wait: for its half to be released.
            m.d.sync += ready.eq(~tile_full | ~occupied.bit_select(~fill_select, 1))
        delay = release_delay(self.formats, self.lanes)
        released = delay_line(m, self.release_half, delay, name="released", reset=True)
        with m.If(released & (tile_ends | (~running & ~ready))):
            m.d.sync += ready.eq(1)
        with m.If(released):
            m.d.sync += [
                free_select.eq(~free_select),
                occupied.bit_select(free_select, 1).eq(0),
            ]
        with m.If(tile_ends):
            m.d.sync += [fill_select.eq(~fill_select), row.eq(0), tile_full.eq(0)]

        # The lanes, and the control signals that accompany a coefficient through them.
        read = 1 + decoder_latency(self.protection)
        advance = delay_line(m, running, read, name="advance", reset=True)
        first = delay_line(m, axis[0], read, name="first")
        done = delay_line(m, running & axis[2], read + FourierLane.DONE, name="done", reset=True)
        # A lane needs its point until it has the last coefficient.
        point = points.payload.xyz
        if self.protection != "none":
            point = enabled_register(m, point, loaded, name="point")
        for number in range(self.lanes):
            m.submodules[f"lane_{number}"] = unit = FourierLane(self.formats)
            m.d.comb += [
                unit.load.eq(delay_line(m, loaded & lane[number], read - 1, name=f"load_{number}")),
                unit.point.eq(point),
                unit.coefficient.eq(self.coefficient),
                unit.advance.eq(advance),
                unit.first.eq(first),
                unit.done.eq(done),
                self.features[number].eq(unit.feature),
            ]

        # Writing: cosines from address 0, sines from address L. Enables and address are computed
        # one cycle before the feature, since they drive every row and must come from registers.
        table_cycles = mapper_latency(self.formats) - 2 - FourierLane.DONE
        cosine = delay_line(m, done, table_cycles - 2, name="cosine", reset=True)
        sine = delay_line(m, cosine, 1, name="sine", reset=True)
        batch_latency = read - 1 + FourierLane.DONE + table_cycles
        batch_written = delay_line(m, batch_ends, batch_latency, name="batch_ends", reset=True)
        tile_written = delay_line(m, tile_ends, batch_latency, name="tile_ends", reset=True)
        write_select = Signal()
        written = Signal(address_bits(self.frequencies))
        batches = -(-self.rows // self.lanes)
        batch = Signal(batches, init=1)
        position = Signal(address_bits(2 * self.frequencies))
        where = Signal.like(self.address, reset_less=True)
        rows = Signal(self.rows, reset_less=True)
        m.d.comb += [
            position.eq(Mux(cosine, written, written + self.last_frequency + 1)),
            self.address.eq(where),
            self.enables.eq(rows),
        ]
        m.d.sync += where.eq(Cat(position, write_select))
        m.d.sync += [
            rows[number].eq((cosine | sine) & batch[number // self.lanes])
            for number in range(self.rows)
        ]
        with m.If(sine):
            m.d.sync += written.eq(written + 1)
        with m.If(batch_written):
            m.d.sync += [written.eq(0), batch.eq(batch << 1)]
        with m.If(tile_written):
            m.d.sync += [batch.eq(1), write_select.eq(~write_select)]
        with m.If(delay_line(m, tile_written, 1, name="tile_readable", reset=True)):
            m.d.sync += full_halves.bit_select(~write_select, 1).eq(1)
        with m.If(self.release_half):
            m.d.sync += [
                read_select.eq(~read_select),
                full_halves.bit_select(read_select, 1).eq(0),
            ]
        return m
