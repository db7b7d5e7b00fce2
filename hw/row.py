"""Row and column units at the edges of the array: banks, requantizer, output-layer MAC."""

from amaranth import Cat, Module, Mux, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from implicore.dataflow import requantizer_latency
from implicore.ecc import Code
from implicore.formats import Formats

from .memory import Bank, Ram, address_bits, ping_pong_depth
from .pipeline import delay_line, enabled_register
from .processing_element import ProcessingElement
from .protection import decode, encode
from .requantizer import Requantizer
from .voxel_bank import VoxelBank, voxel_address_bits, word_address_bits


def step_layout(feature_words: int, hidden_words: int):
    """Return the layout of a step that moves down the rows.

    ``features`` and ``hidden`` read one of the row's banks at ``address``; ``last`` ends a dot
    product.
    """
    bits = max(address_bits(feature_words), address_bits(hidden_words)) + 1
    return data.StructLayout({"features": 1, "hidden": 1, "last": 1, "address": bits})


def drain_layout(formats: Formats, hidden_words: int, outputs: int = 1, voxels_per_beat: int = 1):
    """Return the layout of a drain token, which moves down the rows with an accumulator.

    Each field is valid in the cycle in which it is used. ``sum`` comes first and is high if there
    is an accumulator. Constants and ``voxel`` follow after ``Requantizer.constant_delays``. The
    other fields come with the result: ``write`` stores it in the activation bank at ``address``;
    ``write_voxels`` stores it in the voxel bank, with the voxels before it; hardware for a single
    output has neither;
    ``output_mac`` multiplies it by ``output_weight`` in the output-layer MAC; ``output_mac_last``
    ends the dot product of that MAC, and clears it before the first one. The fields of
    ``gated_fields`` move only with a valid accumulator.
    """
    multiplier = {"multiplier": formats.multiplier_bits} if formats.multiplier_bits else {}
    hidden_bits = address_bits(hidden_words) + 1
    voxel_bits = voxel_address_bits(outputs, voxels_per_beat) if outputs > 1 else 0
    return data.StructLayout(
        {
            "sum": 1,
            **multiplier,
            "coarse": 3,
            "fine": 3,
            "offset": signed(formats.offset_bits),
            "voxel": 1,
            "write": 1,
            **({"write_voxels": 1} if outputs > 1 else {}),
            "address": max(hidden_bits, voxel_bits),
            "output_mac": 1,
            "output_mac_last": 1,
            "output_weight": signed(formats.weight_bits),
        }
    )


def row_banks(formats: Formats, feature_words: int, hidden_words: int) -> list[Bank]:
    """Return the memories of a row."""
    return [
        Bank("features", ping_pong_depth(feature_words), formats.activation_bits),
        Bank("hidden", ping_pong_depth(hidden_words), formats.activation_bits),
    ]


def weight_code(formats: Formats, columns: int, protection: str) -> Code:
    """Return the code of the words of a weight bank."""
    return Code(protection, columns * formats.weight_bits)


def column_bank(formats: Formats, depth: int, columns: int, protection: str = "none") -> Bank:
    """Return the weight bank of some neighbouring columns."""
    return Bank("weights", depth, weight_code(formats, columns, protection).width)


def gated_fields(formats: Formats) -> dict[str, int]:
    """Return the fields that move only with an accumulator, and their delay after ``sum``."""
    result = dict.fromkeys(("address", "output_weight"), requantizer_latency(formats))
    constants = {
        name: at for name, at in Requantizer.constant_delays(formats).items() if name != "voxel"
    }
    return constants | result


class RowUnit(wiring.Component):
    """The edge of a row: feed activations to the array and requantize accumulators.

    A step at ``step_in`` in cycle t gives its activation in cycle t + 2. Let Q be the latency of
    the requantizer. An accumulator in cycle x, whose first constant is at ``drain_in`` in x - 1,
    gives a result in x + Q, which is written to the activation bank, fed to the output-layer MAC,
    or output as a voxel. Voxels go to the voxel bank if there may be several of them, and directly
    to the output otherwise. The bypass sum is ready Q + 3 cycles after the accumulator of the last
    neuron.

    There is no reset: steps and tokens move one row per cycle, so an aborted job drains before
    the steps and tokens of the next job arrive.

    Throughput: one step and one accumulator per cycle.

    Parameters
    ----------
    formats : Formats
    feature_words, hidden_words : int
        Words of each half of the banks.
    gate_zeros : bool
        As in ``ProcessingElement``.
    outputs : int
        Maximum number of voxels of a point. With more than one, the row has a voxel bank.
    voxels_per_beat : int
        Voxels in a word of that bank.

    Attributes
    ----------
    step_in, step_out : In, Out, step_layout
        The step from the row above and, one cycle later, to the row below.
    drain_in, drain_out : In, Out, drain_layout
        The drain token from the row above and, one cycle later, to the row below.
    write_enable, write_address, write_data : In
        The write port of the feature bank.
    activation : Out(unsigned(activation_bits))
        The activation of the step, zero in a cycle without a step.
    last : Out(1)
        The activation is the last one of a dot product.
    bypass_sum : Out(signed(accumulator_bits))
        The accumulator of the output-layer MAC in the cycle in which it is complete, else zero.
    sum : In(signed(accumulator_bits))
        The accumulator from the array.
    capture_enable : Out(1)
        The array must present an accumulator at ``sum`` in the next cycle.
    voxel_valid : Out(1)
        ``voxel`` is valid. Only without a voxel bank.
    voxel : Out(output_bits)
        The voxel, 0 unless valid. Only without a voxel bank.
    read_enable, read_address, word : In, In, Out
        The read port of the voxel bank, see ``VoxelBank``. Only with one.
    """

    def __init__(
        self,
        formats: Formats,
        feature_words: int,
        hidden_words: int,
        *,
        gate_zeros: bool = False,
        outputs: int = 1,
        voxels_per_beat: int = 1,
    ):
        self.formats = formats
        self.feature_words = feature_words
        self.hidden_words = hidden_words
        self.gate_zeros = gate_zeros
        self.outputs = outputs
        self.voxels_per_beat = voxels_per_beat
        step = step_layout(feature_words, hidden_words)
        drain = drain_layout(formats, hidden_words, outputs, voxels_per_beat)
        if outputs > 1:
            voxel_ports = {
                "read_enable": In(1),
                "read_address": In(word_address_bits(outputs, voxels_per_beat)),
                "word": Out(voxels_per_beat * formats.output_bits),
            }
        else:
            voxel_ports = {"voxel_valid": Out(1), "voxel": Out(formats.output_bits)}
        super().__init__(
            {
                "step_in": In(step),
                "step_out": Out(step),
                "drain_in": In(drain),
                "drain_out": Out(drain),
                "write_enable": In(1),
                "write_address": In(address_bits(feature_words) + 1),
                "write_data": In(formats.activation_bits),
                "activation": Out(unsigned(formats.activation_bits)),
                "last": Out(1),
                "bypass_sum": Out(signed(formats.accumulator_bits)),
                "sum": In(signed(formats.accumulator_bits)),
                "capture_enable": Out(1),
                **voxel_ports,
            }
        )

    def elaborate(self, platform):
        m = Module()
        formats = self.formats
        step = token_register(m, self.step_in, "step")
        # Valid pipeline: constants and results move only with a valid accumulator.
        valid = [self.drain_in.sum]
        for cycle in range(requantizer_latency(formats)):
            valid.append(delay_line(m, valid[-1], 1, name=f"valid_{cycle + 1}"))
        enables = {name: valid[cycles] for name, cycles in gated_fields(formats).items()}
        drain = token_register(m, self.drain_in, "drain", enables)
        m.d.comb += [self.step_out.eq(step), self.drain_out.eq(drain)]

        for bank in row_banks(formats, self.feature_words, self.hidden_words):
            m.submodules[bank.role] = Ram(*bank)
        features, hidden = m.submodules.features, m.submodules.hidden
        m.submodules.requantizer = requantizer = Requantizer(formats)
        m.d.comb += [
            features.write_enable.eq(self.write_enable),
            features.write_address.eq(self.write_address),
            features.write_data.eq(self.write_data),
            features.read_enable.eq(step.features),
            features.read_address.eq(step.address),
            hidden.write_enable.eq(drain.write),
            hidden.write_address.eq(drain.address),
            hidden.write_data.eq(requantizer.result),
            hidden.read_enable.eq(step.hidden),
            hidden.read_address.eq(step.address),
            self.last.eq(delay_line(m, step.last, 1, name="last")),
        ]
        from_features = delay_line(m, step.features, 1, name="features")
        from_hidden = delay_line(m, step.hidden, 1, name="hidden")
        m.d.comb += self.activation.eq(
            Mux(from_features, features.read_data, 0) | Mux(from_hidden, hidden.read_data, 0)
        )

        m.d.comb += [
            self.capture_enable.eq(valid[0]),
            requantizer.sum.eq(self.sum),
            requantizer.enables.eq(Cat(*valid[1:])),
        ]
        m.d.comb += [
            getattr(requantizer, name).eq(drain[name])
            for name in Requantizer.constant_delays(formats)
        ]
        voxel_valid = delay_line(m, drain.voxel, 1, name="voxel")
        if self.outputs > 1:
            m.submodules.voxels = voxels = VoxelBank(
                self.outputs, self.voxels_per_beat, formats.output_bits
            )
            m.d.comb += [
                voxels.valid.eq(voxel_valid),
                voxels.write.eq(drain.write_voxels),
                voxels.address.eq(drain.address),
                voxels.voxel.eq(requantizer.result),
                voxels.read_enable.eq(self.read_enable),
                voxels.read_address.eq(self.read_address),
                self.word.eq(voxels.word),
            ]
        else:
            m.d.comb += [
                self.voxel_valid.eq(voxel_valid),
                self.voxel.eq(Mux(voxel_valid, requantizer.result, 0)),
            ]

        m.submodules.output_mac = mac = ProcessingElement(formats, gate_zeros=self.gate_zeros)
        done = delay_line(m, drain.output_mac_last, mac.LATENCY, name="done")
        drains = done & ~mac.empty if self.gate_zeros else done
        m.d.comb += [
            mac.weight_in.eq(drain.output_weight),
            mac.activation_in.eq(Mux(drain.output_mac, requantizer.result, 0)),
            mac.done.eq(done),
            self.bypass_sum.eq(Mux(drains, mac.sum, 0)),
        ]
        return m


class ColumnUnit(wiring.Component):
    """The edge of some neighbouring columns: their weight bank, whose words they share.

    Latency: 2 cycles from ``read_address`` to the weight of the first column, one more for each
    further column, and one more with protection. Throughput: one weight per column and cycle.

    Parameters
    ----------
    depth : int
        Words of the bank.
    columns : int
        Columns that share it.
    formats : Formats
    protection : str
        The code of the bank, see ``implicore.ecc``.

    Attributes
    ----------
    read_enable : In(1)
        Read a word.
    read_address : In
        Its address.
    write_enable : In(1)
        Write a word. Never asserted in a cycle in which the bank is read, so a single-port memory
        suffices.
    write_address, write_data : In
        Registered before the bank, because a deep bank consists of dozens of macros and is a heavy
        load.
    weights : Out, array of columns x signed(weight_bits)
        The weight of each column, skewed by one cycle per column.
    corrected, error : Out(1)
        See ``WordDecoder``. Only with protection.
    """

    def __init__(self, depth: int, columns: int, formats: Formats, *, protection: str = "none"):
        self.depth = depth
        self.columns = columns
        self.formats = formats
        self.protection = protection
        bits = address_bits(depth)
        word = data.ArrayLayout(signed(formats.weight_bits), columns)
        super().__init__(
            {
                "read_enable": In(1),
                "read_address": In(bits),
                "write_enable": In(1),
                "write_address": In(bits),
                "write_data": In(word),
                "weights": Out(word),
                **({"corrected": Out(1), "error": Out(1)} if protection != "none" else {}),
            }
        )

    def elaborate(self, platform):
        m = Module()
        code = weight_code(self.formats, self.columns, self.protection)
        word, word_in = self.write_data.shape(), encode(self.write_data.as_value(), code)
        bank = Ram(*column_bank(self.formats, self.depth, self.columns, self.protection))
        m.submodules.bank = bank
        m.d.comb += [
            bank.read_enable.eq(delay_line(m, self.read_enable, 1, name="enable")),
            bank.read_address.eq(delay_line(m, self.read_address, 1, name="address")),
            bank.write_enable.eq(delay_line(m, self.write_enable, 1, name="write")),
            bank.write_address.eq(
                enabled_register(m, self.write_address, self.write_enable, name="to")
            ),
            bank.write_data.eq(enabled_register(m, word_in, self.write_enable, name="data")),
        ]
        read_data, decoders = decode(m, bank, code, name="decoder")
        for decoder in decoders:
            m.d.comb += [self.corrected.eq(decoder.corrected), self.error.eq(decoder.error)]
        read = data.View(word, read_data)
        for column in range(self.columns):
            m.d.comb += self.weights[column].eq(
                delay_line(m, read[column], column, name=f"weight_{column}")
            )
        return m


def token_register(m: Module, token, name: str, enables=None):
    """Register a token; a field in ``enables`` is registered only while its enable is high."""
    enables = enables or {}
    fields = (
        enabled_register(m, token[field], enables[field], name=f"{name}_{field}")
        if field in enables
        else delay_line(m, token[field], 1, name=f"{name}_{field}")
        for field, _ in token.shape()
    )
    return data.View(token.shape(), Cat(*fields))
