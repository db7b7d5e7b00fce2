"""The units at the edges of the array: banks, requantizer and output-layer MAC."""

from amaranth import Cat, Module, Mux, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from implicore.dataflow import requantizer_latency
from implicore.formats import Formats

from .memory import Bank, Ram, address_bits
from .pipeline import delay_line, enabled_register
from .processing_element import ProcessingElement
from .requantizer import Requantizer


def halves_depth(words: int) -> int:
    """Words of a bank of two halves, the half being the address' highest bit."""
    return (1 << address_bits(words)) + words


def step_layout(feature_words: int, hidden_words: int):
    """A step on its way down the rows: which bank to read, where; whether a dot product ends."""
    bits = max(address_bits(feature_words), address_bits(hidden_words)) + 1
    return data.StructLayout({"features": 1, "hidden": 1, "last": 1, "address": bits})


def drain_layout(formats: Formats, hidden_words: int):
    """What travels down the rows beside a sum that is drained.

    Every field travels in the cycle in which it is needed: ``sum``, that there is one, and the
    constants as ``Requantizer.later`` says, ``voxel`` too, all others when the result stands:
    ``write`` it to the activation bank at ``address``; multiply it in the ``output_mac`` with
    ``output_weight``, and let that sum end (``output_mac_last``, also high before the first one, to
    clear the MAC). Where no sum is, constants, ``address`` and ``output_weight`` do not travel.
    """
    multiplier = {"multiplier": formats.multiplier_bits} if formats.multiplier_bits else {}
    return data.StructLayout(
        {
            "sum": 1,
            **multiplier,
            "coarse": 3,
            "fine": 3,
            "offset": signed(formats.offset_bits),
            "voxel": 1,
            "write": 1,
            "address": address_bits(hidden_words) + 1,
            "output_mac": 1,
            "output_mac_last": 1,
            "output_weight": signed(formats.weight_bits),
        }
    )


def row_banks(formats: Formats, feature_words: int, hidden_words: int) -> list[Bank]:
    """A row's memories."""
    return [
        Bank("features", halves_depth(feature_words), formats.activation_bits),
        Bank("hidden", halves_depth(hidden_words), formats.activation_bits),
    ]


def column_bank(formats: Formats, depth: int, columns: int) -> Bank:
    """The memory of some neighbouring columns."""
    return Bank("weights", depth, columns * formats.weight_bits)


def with_sum(formats: Formats) -> dict[str, int]:
    """Fields of ``drain_layout`` that accompany a sum, and the cycle in which each one comes."""
    result = dict.fromkeys(("address", "output_weight"), requantizer_latency(formats))
    constants = {name: at for name, at in Requantizer.later(formats).items() if name != "voxel"}
    return constants | result


class RowUnit(wiring.Component):
    """One row's edge: its activations go out to the array, its sums come back as activations.

    A step read from ``step_in`` in cycle t gives its activation in t + 2. A sum in cycle x, with
    the first of its constants at ``drain_in`` in x - 1, is a result in x + Q, Q being the
    requantizer's latency: written to the activation bank, fed to the output-layer MAC, or a voxel.
    Its sum comes back as ``bypass_sum`` Q + 3 cycles after the last neuron's.

    Nothing is reset: all that is here leaves, a cycle a row, and nothing that comes later meets it.

    Throughput: a step and a sum a cycle.

    Parameters
    ----------
    formats : Formats
    feature_words, hidden_words : int
        Of each half of the banks.
    gate_zeros : bool

    Attributes
    ----------
    step_in, step_out, drain_in, drain_out : In, Out
        Tokens from the row above, and for the row below a cycle later.
    write_enable, write_address, write_data : In
        Port of the feature bank.
    activation, last, bypass_sum : Out
    sum : In
    capture_enable : Out(1)
        To and from the array; a sum is taken from it in the next cycle.
    voxel_valid, voxel : Out
        ``voxel`` is 0 unless valid.
    """

    def __init__(
        self, formats: Formats, feature_words: int, hidden_words: int, *, gate_zeros: bool = False
    ):
        self.formats = formats
        self.feature_words = feature_words
        self.hidden_words = hidden_words
        self.gate_zeros = gate_zeros
        step = step_layout(feature_words, hidden_words)
        drain = drain_layout(formats, hidden_words)
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
                "voxel_valid": Out(1),
                "voxel": Out(formats.output_bits),
            }
        )

    def elaborate(self, platform):
        """Amaranth's hook."""
        m = Module()
        formats = self.formats
        step = token_register(m, self.step_in, "step")
        # Valid pipeline of the sums. What belongs to a sum moves only with a valid one.
        valid = [self.drain_in.sum]
        for cycle in range(requantizer_latency(formats)):
            valid.append(delay_line(m, valid[-1], 1, name=f"valid_{cycle + 1}"))
        later = with_sum(formats)
        enables = {name: valid[cycles] for name, cycles in later.items()}
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
            getattr(requantizer, name).eq(drain[name]) for name in Requantizer.later(formats)
        ]
        voxel_valid = delay_line(m, drain.voxel, 1, name="voxel")
        m.d.comb += [
            self.voxel_valid.eq(voxel_valid),
            self.voxel.eq(Mux(voxel_valid, requantizer.result, 0)),
        ]

        m.submodules.output_mac = mac = ProcessingElement(formats, gate_zeros=self.gate_zeros)
        ending = delay_line(m, drain.output_mac_last, mac.LATENCY, name="ending")
        drains = ending & ~mac.empty if self.gate_zeros else ending
        m.d.comb += [
            mac.weight_in.eq(drain.output_weight),
            mac.activation_in.eq(Mux(drain.output_mac, requantizer.result, 0)),
            mac.done.eq(ending),
            self.bypass_sum.eq(Mux(drains, mac.sum, 0)),
        ]
        return m


class ColumnUnit(wiring.Component):
    """The edge of some neighbouring columns: their bank of weights, a word for all of them.

    Latency: 2 cycles from address to the first column's weight, one more for each further column.
    Throughput: a weight a column a cycle.

    Parameters
    ----------
    depth : int
    columns : int
    formats : Formats

    Attributes
    ----------
    read_enable, read_address : In
    write_enable, write_address, write_data : In
        Written a cycle later (a deep bank is a load that only registers of its own can drive), and
        never while it is read: one port is enough.
    weights : Out
        One a column.
    """

    def __init__(self, depth: int, columns: int, formats: Formats):
        self.depth = depth
        self.columns = columns
        self.formats = formats
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
            }
        )

    def elaborate(self, platform):
        """Amaranth's hook."""
        m = Module()
        word, word_in = self.write_data.shape(), self.write_data.as_value()
        m.submodules.bank = bank = Ram(*column_bank(self.formats, self.depth, self.columns))
        m.d.comb += [
            bank.read_enable.eq(delay_line(m, self.read_enable, 1, name="enable")),
            bank.read_address.eq(delay_line(m, self.read_address, 1, name="address")),
            bank.write_enable.eq(delay_line(m, self.write_enable, 1, name="write")),
            bank.write_address.eq(
                enabled_register(m, self.write_address, self.write_enable, name="to")
            ),
            bank.write_data.eq(enabled_register(m, word_in, self.write_enable, name="data")),
        ]
        read = data.View(word, bank.read_data)
        for column in range(self.columns):
            m.d.comb += self.weights[column].eq(
                delay_line(m, read[column], column, name=f"weight_{column}")
            )
        return m


def token_register(m: Module, token, name: str, enables=None):
    """The token a cycle later; a field in ``enables`` only where its enable is high."""
    enables = enables or {}
    fields = (
        enabled_register(m, token[field], enables[field], name=f"{name}_{field}")
        if field in enables
        else delay_line(m, token[field], 1, name=f"{name}_{field}")
        for field, _ in token.shape()
    )
    return data.View(token.shape(), Cat(*fields))
