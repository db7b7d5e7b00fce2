"""Program loader: writes a program stream into the memories and checks it."""

from amaranth import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.crc import catalog
from amaranth.lib.wiring import In, Out

from implicore.accelerator_config import AcceleratorConfig
from implicore.registers import Error
from implicore.stream import HEADER, MAGIC, VERSION, format_code

from .core import store_layout
from .sequencer import shape_layout

WORD = data.StructLayout({"data": 32, "last": 1})
"""A word of the program stream; ``last`` is AXI4-Stream's ``tlast``."""

ITEM = 16
CONSTANT_ITEMS = 4


class ProgramLoader(wiring.Component):
    """Parse a program stream as in ``implicore.stream``: header, contents of the memories, CRC-32.

    The stream of a bad program is discarded up to its last word, so the next program starts with
    its header. The error is reported at the end of the stream.

    Latency: ``done`` at most four cycles after the last word. Throughput: one word per two cycles.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    enable : In(1)
        Words may be accepted.
    words : In(stream of WORD)
        The program stream.
    loading : Out(1)
        High between the first and the last word of a program.
    done : Out(1)
        A program has ended in this cycle.
    error : Out(Error)
        The error in that program, or ``NONE``.
    shape : Out(shape_layout(config))
        The shape of its network. A reset does not clear it, just as it does not clear the memories.
    store : Out(store_layout(config))
        The write ports of the memories.
    """

    def __init__(self, config: AcceleratorConfig):
        self.config = config
        super().__init__(
            {
                "enable": In(1),
                "words": In(stream.Signature(WORD)),
                "loading": Out(1),
                "done": Out(1),
                "error": Out(Error),
                "shape": Out(shape_layout(config)),
                "store": Out(store_layout(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, shape, store = self.config, self.shape, self.store
        error = self.error

        # Each word is two items, the lower half first.
        item = Signal(ITEM, reset_less=True)
        upper = Signal(ITEM, reset_less=True)
        last = Signal(reset_less=True)
        halves = Signal(2)  # one-hot: the half in `item`
        item_valid = halves.any()
        stream_ends = halves[1] & last
        checking = Signal()
        m.d.comb += self.words.ready.eq(self.enable & ~halves[0] & ~stream_ends & ~checking)
        m.d.sync += halves.eq(halves << 1)
        with m.If(item_valid):
            m.d.sync += item.eq(upper)
        with m.If(self.words.valid & self.words.ready):
            word = self.words.payload
            m.d.sync += [
                Cat(item, upper).eq(word.data),
                last.eq(word.last),
                halves.eq(1),
            ]
        m.submodules.checksum = crc = catalog.CRC32_ISO_HDLC(ITEM).create()
        beginning = Signal()
        m.d.sync += beginning.eq(0)
        m.d.comb += [crc.start.eq(beginning), crc.valid.eq(item_valid), crc.data.eq(item)]

        # The destination of the item.
        number = Signal(range(len(HEADER)), reset_less=True)
        column = Signal(config.columns, init=1, reset_less=True)
        coefficient_address = Signal.like(store.coefficient_address, reset_less=True)
        constant_address = Signal.like(store.constant_address, reset_less=True)
        weight_address = Signal.like(store.weight_address, reset_less=True)
        last_coefficient = Signal(len(coefficient_address) + 1)
        last_constant = Signal.like(constant_address, reset_less=True)
        last_weight = Signal.like(weight_address, reset_less=True)
        earlier_items = Signal(ITEM * (CONSTANT_ITEMS - 1), reset_less=True)
        lower = earlier_items[-ITEM:]
        weight_bits = config.formats.weight_bits
        per_bank = config.columns_per_bank
        recent_weights = Signal(per_bank * weight_bits, reset_less=True)
        last_shape = Signal.like(shape, reset_less=True)
        m.d.comb += [
            shape.eq(last_shape),
            # 3 L - 1, without a multiplier
            last_coefficient.eq(last_shape.last_frequency + (last_shape.last_frequency << 1) + 2),
            store.coefficient_address.eq(coefficient_address),
            store.coefficient.eq(item),
            store.constant_address.eq(constant_address),
            # `implicore.stream.constant_items`
            store.constant.offset.eq(earlier_items[:24]),
            store.constant.fine.eq(earlier_items[24:27]),
            store.constant.coarse.eq(earlier_items[27:30]),
            store.constant.output_weight.eq(item),
            store.weight_address.eq(weight_address),
            store.weight.eq(Cat(recent_weights[weight_bits:], item[:weight_bits])),
        ]
        if config.formats.multiplier_bits:
            m.d.comb += store.constant.multiplier.eq(earlier_items[32:])
        with m.If(item_valid):
            m.d.sync += [
                earlier_items.eq(Cat(earlier_items[ITEM:], item)),
                number.eq(number + 1),
            ]

        def fail(cause: Error):
            with m.If(error == Error.NONE):  # the first error is reported
                m.d.sync += error.eq(cause)

        def cut_short():
            """Fail if the stream ends in this state; the last statement of a state."""
            with m.If(stream_ends):
                fail(Error.CUT_SHORT)
                m.next = "STATUS"

        with m.FSM():
            with m.State("IDLE"), m.If(self.words.valid & self.words.ready):
                m.d.sync += [
                    self.loading.eq(1),
                    error.eq(Error.NONE),
                    beginning.eq(1),
                    number.eq(0),
                    column.eq(1),
                    coefficient_address.eq(0),
                    constant_address.eq(0),
                    weight_address.eq(0),
                ]
                m.next = "HEADER"
            with m.State("HEADER"):
                with m.If(item_valid):
                    with m.Switch(number):
                        for position, name in enumerate(HEADER):
                            with m.Case(position):
                                self._check(m, name, item, lower, fail)
                    with m.If(number == HEADER.index("frequencies")):
                        m.d.sync += last_shape.last_frequency.eq(item - 1)
                    with m.If(number == HEADER.index("width")):
                        m.d.sync += last_shape.last_neuron.eq(item - 1)
                    with m.If(number == HEADER.index("depth")):
                        m.d.sync += last_shape.last_layer.eq(item - 1)
                    if config.outputs > 1:
                        with m.If(number == HEADER.index("last_output")):
                            m.d.sync += last_shape.last_output.eq(item)
                    for part in range(-(-config.depth // ITEM)):
                        with m.If(number == HEADER.index(f"skips_{part}")):
                            bits = last_shape.skips[ITEM * part : ITEM * (part + 1)]
                            m.d.sync += bits.eq(item)
                    with m.If(number == HEADER.index("weights_high")):
                        m.d.sync += last_weight.eq(Cat(lower, item) - 1)
                    with m.If(number == HEADER.index("neurons_high")):
                        m.d.sync += last_constant.eq(Cat(lower, item) - 1)
                    with m.If(number == len(HEADER) - 1):
                        m.next = "COEFFICIENTS"
                cut_short()
            with m.State("COEFFICIENTS"):
                with m.If(error != Error.NONE):
                    m.next = "DISCARD"
                with m.Elif(item_valid):
                    m.d.comb += store.coefficient_enable.eq(1)
                    m.d.sync += coefficient_address.eq(coefficient_address + 1)
                    with m.If(coefficient_address == last_coefficient):
                        m.d.sync += number.eq(0)
                        m.next = "CONSTANTS"
                cut_short()
            with m.State("CONSTANTS"):
                with m.If(item_valid & (number[:2] == CONSTANT_ITEMS - 1)):
                    m.d.comb += store.constant_enable.eq(1)
                    m.d.sync += constant_address.eq(constant_address + 1)
                    with m.If(constant_address == last_constant):
                        m.next = "WEIGHTS"
                cut_short()
            with m.State("WEIGHTS"):
                with m.If(item_valid):
                    # A bank is written when the weight of its last column arrives.
                    m.d.comb += store.weight_enables.eq(
                        Cat(*column[per_bank - 1 : -1 : per_bank], column[-1])
                    )
                    m.d.sync += [
                        recent_weights.eq(store.weight),
                        column.eq(column.rotate_left(1)),
                    ]
                    with m.If(column[-1]):
                        m.d.sync += weight_address.eq(weight_address + 1)
                        with m.If(weight_address == last_weight):
                            m.next = "CHECKSUM"
                            with m.If(halves[0]):
                                m.next = "PADDING"
                cut_short()
            with m.State("PADDING"):
                with m.If(item_valid):
                    m.next = "CHECKSUM"
                cut_short()
            with m.State("CHECKSUM"), m.If(halves[1]):
                m.next = "COMPARE"
                with m.If(~last):
                    fail(Error.TOO_LONG)
                    m.next = "DISCARD"
            with m.State("DISCARD"), m.If(stream_ends):
                m.next = "STATUS"
            with m.State("COMPARE"):
                m.d.comb += checking.eq(1)
                with m.If(~crc.match_detected):
                    fail(Error.WRONG_CRC)
                m.next = "STATUS"
            with m.State("STATUS"):
                m.d.comb += [checking.eq(1), self.done.eq(1)]
                m.d.sync += self.loading.eq(0)
                m.next = "IDLE"
        return m

    def _check(self, m: Module, name: str, item, lower, fail):
        """Check an item of the header."""
        config = self.config
        equal = {
            "magic": (MAGIC, Error.NOT_A_PROGRAM),
            "version": (VERSION, Error.WRONG_VERSION),
            "columns": (config.columns, Error.WRONG_COLUMNS),
            "formats": (format_code(config.formats), Error.WRONG_FORMATS),
        }
        at_most = {
            "frequencies": (item, config.frequencies, Error.TOO_MANY_FREQUENCIES),
            "width": (item, config.width, Error.TOO_WIDE),
            "depth": (item, config.depth, Error.TOO_DEEP),
            "weights_high": (Cat(lower, item), config.weight_depth, Error.TOO_MANY_WEIGHTS),
            "neurons_high": (Cat(lower, item), config.constant_depth, Error.TOO_MANY_NEURONS),
        }
        if name in equal:
            value, cause = equal[name]
            with m.If(item != value):
                fail(cause)
        elif name in at_most:
            value, limit, cause = at_most[name]
            with m.If((value == 0) | (value > limit)):
                fail(cause)
        elif name == "last_output":
            with m.If(item >= config.outputs):
                fail(Error.TOO_MANY_OUTPUTS)
