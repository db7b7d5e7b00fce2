"""The core of the accelerator: points in, voxels out, memories written by the loader."""

from functools import reduce
from operator import or_

from amaranth import Module, Mux, ResetInserter, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from implicore.accelerator_config import AcceleratorConfig
from implicore.dataflow import GROUP_ROWS, PE_LATENCY, decoder_latency, requantizer_latency
from implicore.ecc import Code
from implicore.fixed import FREQUENCY
from implicore.formats import Formats

from .coordinates import POINT
from .fourier import FourierMapper
from .memory import Bank, Ram, address_bits
from .pipeline import delay_line, enabled_register
from .protection import decode, encode
from .requantizer import Requantizer
from .row import ColumnUnit, RowUnit, column_bank, gated_fields, row_banks
from .sequencer import Sequencer, shape_layout
from .systolic_array import SystolicArray
from .voxel_bank import voxel_address_bits, voxel_bank
from .voxel_packer import VoxelPacker
from .voxel_reader import VoxelReader
from .voxels import VoxelBuffer, beat_layout


def constant_layout(formats: Formats):
    """Return the layout of a neuron's constants: requantizer constants and output-layer weight."""
    multiplier = {"multiplier": formats.multiplier_bits} if formats.multiplier_bits else {}
    return data.StructLayout(
        {
            "offset": signed(formats.offset_bits),
            "fine": 3,
            "coarse": 3,
            **multiplier,
            "output_weight": signed(formats.weight_bits),
        }
    )


def store_layout(config: AcceleratorConfig):
    """Return the layout of the write ports of the program's memories: B, constants and weights.

    ``weight`` holds the latest weights of the stream, the last one in the highest bits; a bank
    stores the topmost ones, as many as it has columns.
    """
    formats = config.formats
    per_bank = config.columns_per_bank
    return data.StructLayout(
        {
            "coefficient_enable": 1,
            "coefficient_address": address_bits(3 * config.frequencies),
            "coefficient": signed(FREQUENCY.bits),
            "constant_enable": 1,
            "constant_address": address_bits(config.constant_depth),
            "constant": constant_layout(formats),
            "weight_enables": config.weight_banks,
            "weight_address": address_bits(config.weight_depth),
            "weight": data.ArrayLayout(signed(formats.weight_bits), per_bank),
        }
    )


REPORTS = ("corrected", "errors")
"""Ports of the core that report errors of the memories that hold a program."""

WRITE_FANOUT = GROUP_ROWS
"""Number of rows or weight banks in a write fan-out group."""


class Core(wiring.Component):
    """The accelerator without its interfaces: array, banks, requantizers, mapper and sequencer.

    ``docs/hardware.md`` has a diagram.

    Latency and throughput: exactly as ``implicore.cycles`` predicts.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    store : In(store_layout(config))
        The write ports of the program's memories, for use while no job runs.
    shape : In(shape_layout(config))
        The shape of the program's network.
    start : In(1)
        High for one cycle before the first point of a job.
    running : In(1)
        High from the next cycle until the last voxel is delivered or the job is aborted.
    clear : In(1)
        High for one cycle, ``AcceleratorConfig.abort_latency`` cycles after an abort or a reset.
        Resets the mapper and what holds voxels; the array and the rows drain without a reset.
    points : In(stream of POINT)
        The points of the job.
    voxels : Out(stream of beat_layout(output_bits, voxels_per_beat))
        The voxels in the order of the points.
    step : Out(1)
        A step was issued in the previous cycle.
    count_macs : Out(1)
        The voxels of a point leave.
    useful_macs : Out
        Multiply-accumulates that they needed.
    corrected, errors : Out
        Words of the program that were read a few cycles ago and corrected, or had an error that
        could not be corrected. Only with protection.
    """

    def __init__(self, config: AcceleratorConfig):
        self.config = config
        words = (config.weight_banks + len(core_banks(config))).bit_length()
        super().__init__(
            {
                "store": In(store_layout(config)),
                "shape": In(shape_layout(config)),
                "start": In(1),
                "running": In(1),
                "clear": In(1),
                "points": In(stream.Signature(POINT)),
                "voxels": Out(
                    stream.Signature(
                        beat_layout(config.formats.output_bits, config.voxels_per_beat)
                    )
                ),
                "step": Out(1),
                "count_macs": Out(1),
                "useful_macs": Out(useful_macs_bits(config)),
                **({name: Out(words) for name in REPORTS} if config.protection != "none" else {}),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, formats = self.config, self.config.formats
        m.submodules.sequencer = sequencer = Sequencer(config)
        mapper = FourierMapper(
            config.rows, config.lanes, config.frequencies, formats, protection=config.protection
        )
        m.submodules.mapper = ResetInserter(self.clear)(mapper)
        for bank in core_banks(config):
            m.submodules[bank.role] = Ram(*bank)
        m.submodules.array = array = SystolicArray(
            config.rows, config.columns, formats, gate_zeros=config.gate_zeros
        )
        rows = [
            RowUnit(
                formats,
                2 * config.frequencies,
                config.width,
                gate_zeros=config.gate_zeros,
                outputs=config.outputs,
                voxels_per_beat=config.voxels_per_beat,
            )
            for _ in range(config.rows)
        ]
        m.d.comb += [
            sequencer.shape.eq(self.shape),
            sequencer.start.eq(self.start),
            sequencer.running.eq(self.running),
            sequencer.full.eq(mapper.full),
            sequencer.select.eq(mapper.select),
            mapper.release_half.eq(sequencer.release_half),
        ]
        decoders = self._connect_mapper(m, mapper, m.submodules.coefficients)
        decoders += self._issue_drain_tokens(m, sequencer, m.submodules.constants, rows[0].drain_in)
        self._connect_rows(m, sequencer, mapper, array, rows)
        decoders += self._connect_columns(m, sequencer, array)
        take = self._read_voxels if config.outputs > 1 else self._collect_voxels
        self._deliver(m, take(m, sequencer, mapper, rows))
        self._count_useful_macs(m, sequencer)
        if config.protection != "none":
            self._gather_reports(m, decoders)
        return m

    def _connect_mapper(self, m: Module, mapper, coefficients):
        """Connect the Fourier mapper to the points and to the coefficient memory."""
        store, code = self.store, coefficient_code(self.config)
        coefficient, decoders = decode(m, coefficients, code, name="coefficient_decoder")
        wiring.connect(m, wiring.flipped(self.points), mapper.points)
        m.d.comb += [
            mapper.last_frequency.eq(self.shape.last_frequency),
            coefficients.write_enable.eq(store.coefficient_enable),
            coefficients.write_address.eq(store.coefficient_address),
            coefficients.write_data.eq(encode(store.coefficient, code)),
            coefficients.read_enable.eq(mapper.coefficient_enable),
            coefficients.read_address.eq(mapper.coefficient_address),
            mapper.coefficient.eq(coefficient),
        ]
        return decoders

    def _issue_drain_tokens(self, m: Module, sequencer, constants, drain):
        """Make the drain tokens of row 0 from drain control and the constant memory.

        The read is timed so that constants arrive at row 0 together with their accumulator. With
        protection, both are later by the latency of a decoder.
        """
        config, formats, store = self.config, self.config.formats, self.store
        code, late = constant_code(config), decoder_latency(config.protection)
        delays = Requantizer.constant_delays(formats)
        result_delay = requantizer_latency(formats)
        read = delay_line(m, sequencer.drain, PE_LATENCY, name="read", reset=True)
        restart = delay_line(m, sequencer.last_voxel, PE_LATENCY, name="restart", reset=True)
        constant_counter = Signal(address_bits(config.constant_depth))
        with m.If(read):
            m.d.sync += constant_counter.eq(constant_counter + 1)
        with m.If(restart | self.start):
            m.d.sync += constant_counter.eq(0)
        m.d.comb += [
            constants.write_enable.eq(store.constant_enable),
            constants.write_address.eq(store.constant_address),
            constants.write_data.eq(encode(store.constant.as_value(), code)),
            constants.read_enable.eq(read),
            constants.read_address.eq(constant_counter),
        ]
        word, decoders = decode(m, constants, code, name="constant_decoder")
        constant = data.View(constant_layout(formats), word)

        # Valid pipeline of the accumulators: constants move only with a valid accumulator.
        valid = [delay_line(m, read, 1 + late, name="valid_0", reset=True)]
        for cycle in range(1, result_delay):
            valid.append(delay_line(m, valid[-1], 1, name=f"valid_{cycle}", reset=True))
        m.d.comb += drain.sum.eq(valid[0])
        for name, delay in gated_fields(formats).items():
            if name != "address":
                value = constant[name]
                for cycle, enable in enumerate(valid[:delay]):
                    value = enabled_register(m, value, enable, name=f"{name}_{cycle}")
                m.d.comb += drain[name].eq(value)
        control = {
            "voxel": (sequencer.voxel, delays["voxel"]),
            "output_mac": (sequencer.output_mac, result_delay),
            # High while idle, which clears the output-layer MACs before the first job.
            "output_mac_last": (sequencer.output_mac_last | ~self.running, result_delay),
        }
        m.d.comb += [
            drain[name].eq(
                delay_line(m, value, PE_LATENCY + 1 + late + delay, name=name, reset=True)
            )
            for name, (value, delay) in control.items()
        ]
        # A step reads as much later as a result is written, so it need not wait for the decoder.
        written = sequencer.drain & ~sequencer.voxel & ~sequencer.output_mac
        written = delay_line(m, written, PE_LATENCY + 1 + result_delay, name="write", reset=True)
        m.d.comb += [
            sequencer.written.eq(written),
            drain.write.eq(delay_line(m, written, late, name="late_write", reset=True)),
        ]
        return decoders

    def _connect_rows(self, m: Module, sequencer, mapper, array, rows):
        """Connect the row units to the array, to each other and to the mapper's write port."""
        late = decoder_latency(self.config.protection)
        step = delay_line(m, sequencer.step, late, name="step")
        enables, address, features = mapper.enables, mapper.address, mapper.features
        for number, row in enumerate(rows):
            m.submodules[f"row_{number}"] = row
            place = number % WRITE_FANOUT
            if number and not place:
                enables, address, features = _next_group(
                    m, f"features_{number}", enables[WRITE_FANOUT:], address, features
                )
            m.d.comb += [
                row.step_in.eq(step),
                row.write_enable.eq(enables[place]),
                row.write_address.eq(address),
                row.write_data.eq(features[number % self.config.lanes]),
                array.activations[number].eq(row.activation),
                array.last[number].eq(row.last),
                array.bypass_sum[number].eq(row.bypass_sum),
                row.sum.eq(array.sums[number]),
                array.capture_enable[number].eq(row.capture_enable),
            ]
            if number:
                m.d.comb += row.drain_in.eq(rows[number - 1].drain_out)
            step = row.step_out

    def _connect_columns(self, m: Module, sequencer, array):
        """Make the column units and connect them to the array and the program's write port."""
        config, store = self.config, self.store
        per_bank = config.columns_per_bank
        read = [sequencer.weight_enable, sequencer.weight_address]
        enables, address = store.weight_enables, store.weight_address
        weight = store.weight.as_value()
        units = []
        for number in range(config.weight_banks):
            unit = ColumnUnit(
                config.weight_depth, per_bank, config.formats, protection=config.protection
            )
            units.append(unit)
            m.submodules[f"columns_{number}"] = unit
            place = number % WRITE_FANOUT
            if number and not place:
                enables, address, weight = _next_group(
                    m, f"weights_{number}", enables[WRITE_FANOUT:], address, weight
                )
            columns = range(number * per_bank, min((number + 1) * per_bank, config.columns))
            m.d.comb += [
                unit.read_enable.eq(read[0]),
                unit.read_address.eq(read[1]),
                unit.write_enable.eq(enables[place]),
                unit.write_address.eq(address),
                unit.write_data.eq(weight[-len(columns) * config.formats.weight_bits :]),
            ]
            for index, column in enumerate(columns):
                m.d.comb += array.weights[column].eq(unit.weights[index])
            if columns[-1] + 1 < config.columns:
                read = [
                    delay_line(m, signal, per_bank, name=f"columns_{number}_{name}")
                    for signal, name in zip(read, ("enable", "address"), strict=True)
                ]
        return units

    def _collect_voxels(self, m: Module, sequencer, mapper, rows):
        """Put single voxels into the voxel buffer: the rows deliver one voxel per cycle."""
        buffer = VoxelBuffer(self.config.rows, self.config.formats.output_bits)
        m.submodules.voxel_buffer = ResetInserter(self.clear)(buffer)
        voxel = Signal(self.config.formats.output_bits, reset_less=True)
        voxel_valid = Signal()
        m.d.sync += [
            voxel.eq(reduce(or_, (row.voxel for row in rows))),
            voxel_valid.eq(reduce(or_, (row.voxel_valid for row in rows))),
        ]
        m.d.comb += [
            sequencer.output_free.eq(buffer.free),
            buffer.reserve.eq(sequencer.reserve),
            buffer.tile.eq(mapper.tile),
            buffer.put.eq(voxel_valid),
            buffer.value.eq(voxel),
            rows[0].drain_in.address.eq(self._write_address(m, sequencer)),
            self.count_macs.eq(buffer.voxels.valid & buffer.voxels.ready),
        ]
        return buffer.voxels

    def _read_voxels(self, m: Module, sequencer, mapper, rows):
        """Write the voxels of each row to its voxel bank, and read them point by point."""
        config, formats = self.config, self.config.formats
        per_beat = config.voxels_per_beat
        reader = VoxelReader(config.rows, config.outputs, per_beat, formats.output_bits)
        m.submodules.voxel_reader = ResetInserter(self.clear)(reader)

        # Writes: the address of a voxel is counted when its result leaves the requantizer.
        drain = rows[0].drain_in
        delay = PE_LATENCY + 1 + decoder_latency(config.protection) + requantizer_latency(formats)
        voxel = delay_line(m, sequencer.voxel, delay, name="voxel_result", reset=True)
        last = delay_line(m, sequencer.last_voxel, delay, name="last_voxel", reset=True)
        number = Signal(address_bits(config.outputs))
        half_bit = voxel_address_bits(config.outputs, per_beat) - 1
        with m.If(voxel):
            m.d.sync += number.eq(number + 1)
        with m.If(last | self.start):
            m.d.sync += number.eq(0)
        m.d.comb += [
            drain.address.eq(
                Mux(
                    voxel,
                    number | (reader.half << half_bit),
                    self._write_address(m, sequencer),
                )
            ),
            drain.write_voxels.eq(voxel & (last | ((number & (per_beat - 1)) == per_beat - 1))),
            reader.complete.eq(last),
            reader.last_output.eq(self.shape.last_output),
            reader.reserve.eq(sequencer.reserve),
            reader.tile.eq(mapper.tile),
            sequencer.output_free.eq(reader.free),
            self.count_macs.eq(reader.point),
        ]

        # Reads move from group to group of rows, and so do the words.
        enables, address, word = reader.read_enables, reader.read_address, 0
        for first in range(0, config.rows, GROUP_ROWS):
            group = rows[first : first + GROUP_ROWS]
            if first:
                name = f"voxels_{first}"
                enables = delay_line(m, enables[GROUP_ROWS:], 1, name=f"{name}_enables")
                address = delay_line(m, address, 1, name=f"{name}_address")
            for place, row in enumerate(group):
                m.d.comb += [row.read_enable.eq(enables[place]), row.read_address.eq(address)]
            gathered = Signal.like(reader.word, name=f"word_{first}", reset_less=True)
            m.d.sync += gathered.eq(reduce(or_, (row.word for row in group)) | word)
            word = gathered
        m.d.comb += reader.word.eq(word)
        return reader.words

    def _write_address(self, m: Module, sequencer):
        """Return the address of a write to the activation bank of row 0, in its cycle."""
        late = decoder_latency(self.config.protection)
        return delay_line(m, sequencer.write_address, late, name="write_address")

    def _gather_reports(self, m: Module, decoders):
        """Count the words that were corrected, and the other errors, in each cycle.

        A register adds the reports of a group of banks to those of the groups before it.
        """
        for name, flag in zip(REPORTS, ("corrected", "error"), strict=True):
            total = 0
            for first in range(0, len(decoders), GROUP_ROWS):
                group = decoders[first : first + GROUP_ROWS]
                count = sum((getattr(decoder, flag) for decoder in group), start=total)
                total = Signal.like(getattr(self, name), name=f"{name}_{first}", reset_less=True)
                m.d.sync += total.eq(count)
            m.d.comb += getattr(self, name).eq(total)

    def _deliver(self, m: Module, words):
        """Connect a stream of words to the stream of beats."""
        if self.config.voxels_per_beat == 1:
            wiring.connect(m, words, wiring.flipped(self.voxels))
            return
        packer = VoxelPacker(self.config.voxels_per_beat, self.config.formats.output_bits)
        m.submodules.voxel_packer = ResetInserter(self.clear)(packer)
        m.d.comb += [
            packer.words.valid.eq(words.valid),
            packer.words.payload.value.eq(words.payload.value),
            packer.words.payload.last.eq(words.payload.last),
            words.ready.eq(packer.words.ready),
        ]
        if self.config.outputs > 1:  # single voxels come in words of one
            m.d.comb += packer.words.payload.more.eq(words.payload.more)
        wiring.connect(m, packer.beats, wiring.flipped(self.voxels))

    def _count_useful_macs(self, m: Module, sequencer):
        """Count the multiply-accumulates of one row in a voxel tile, which are those of a voxel."""
        used = Signal(sequencer.column_bits + 1, reset_less=True)
        finished = delay_line(m, sequencer.finish, 1, name="finished", reset=True)
        counted = Signal.like(self.useful_macs)
        counted_now = Signal.like(self.useful_macs)
        m.d.sync += [
            self.step.eq(sequencer.weight_enable),
            # A neuron that feeds the output-layer MAC takes one more multiply-accumulate there.
            used.eq(sequencer.columns_used << sequencer.feeds_output_mac),
        ]
        m.d.comb += counted_now.eq(counted + used)
        with m.If(self.step):
            m.d.sync += counted.eq(counted_now)
        with m.If(finished):
            m.d.sync += [counted.eq(0), self.useful_macs.eq(counted_now)]
        with m.If(self.start):
            m.d.sync += counted.eq(0)


def _next_group(m: Module, name: str, enables, address, data):
    """Register a write for the next write fan-out group, which writes one cycle later."""
    return (
        delay_line(m, enables, 1, name=f"{name}_enables", reset=True),
        delay_line(m, address, 1, name=f"{name}_address"),
        delay_line(m, data, 1, name=f"{name}_data"),
    )


def coefficient_code(config: AcceleratorConfig) -> Code:
    """Return the code of the coefficient memory."""
    return Code(config.protection, FREQUENCY.bits)


def constant_code(config: AcceleratorConfig) -> Code:
    """Return the code of the constant memory."""
    return Code(config.protection, constant_layout(config.formats).size)


def core_banks(config: AcceleratorConfig) -> list[Bank]:
    """Return the memories that do not belong to a row or a column."""
    return [
        Bank("coefficients", 3 * config.frequencies, coefficient_code(config).width),
        Bank("constants", config.constant_depth, constant_code(config).width),
    ]


def banks(config: AcceleratorConfig) -> list[tuple[Bank, int]]:
    """Return all memories, each with its number of instances."""
    formats = config.formats
    per_bank = config.columns_per_bank
    return [
        *((bank, 1) for bank in core_banks(config)),
        *((bank, config.rows) for bank in row_banks(formats, 2 * config.frequencies, config.width)),
        *(
            [(voxel_bank(config.outputs, config.voxels_per_beat, formats.output_bits), config.rows)]
            if config.outputs > 1
            else []
        ),
        (
            column_bank(formats, config.weight_depth, per_bank, config.protection),
            config.weight_banks,
        ),
    ]


def useful_macs_bits(config: AcceleratorConfig) -> int:
    """Return the width of the number of multiply-accumulates per voxel."""
    return (config.weight_depth * config.columns + config.width).bit_length()
