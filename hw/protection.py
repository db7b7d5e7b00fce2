"""Check bits of the memories that hold a program: encoder and decoder of ``implicore.ecc``."""

from amaranth import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from implicore.ecc import Code

from .memory import Ram
from .pipeline import delay_line, enabled_register


def encode(word: Value, code: Code) -> Value:
    """Return the codeword of a word."""
    if not code.check_bits:
        return word
    bits = word.as_unsigned()  # the sign would extend into the check bits
    return Cat(word, *((bits & row).xor() for row in code.rows))


def decode(m: Module, bank: Ram, code: Code, *, name: str) -> tuple[Value, list]:
    """Return the words that are read from a bank, and their decoder in a list.

    Without check bits, there is no decoder, and the list is empty.
    """
    if not code.check_bits:
        return bank.read_data, []
    m.submodules[name] = decoder = WordDecoder(code)
    m.d.comb += [
        decoder.read_enable.eq(bank.read_enable),
        decoder.codeword.eq(bank.read_data),
    ]
    return decoder.word, [decoder]


class WordDecoder(wiring.Component):
    """Check and correct the words that are read from a memory.

    A codeword is registered before it is decoded, because the access of an SRAM macro takes most
    of a cycle. Only words that were read are reported.

    Latency: from a read of the memory, 2 cycles to ``word``, which then keeps its value, and 3 to
    ``corrected`` and ``error``. Throughput: one word per cycle.

    Parameters
    ----------
    code : Code
        With at least one check bit.

    Attributes
    ----------
    read_enable : In(1)
        The memory is read in this cycle.
    codeword : In
        The word that was read in the previous cycle.
    word : Out
        The word, corrected if possible.
    corrected : Out(1)
        A bit of a word was corrected. Always low with ``parity``.
    error : Out(1)
        A word has an error that could not be corrected.
    """

    def __init__(self, code: Code):
        self.code = code
        super().__init__(
            {
                "read_enable": In(1),
                "codeword": In(code.width),
                "word": Out(code.bits),
                "corrected": Out(1),
                "error": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        code = self.code
        valid = delay_line(m, self.read_enable, 1, name="valid")
        codeword = enabled_register(m, self.codeword, valid, name="codeword")
        syndrome = Signal(code.check_bits)
        m.d.comb += syndrome.eq(Cat((codeword & row).xor() for row in code.rows))
        changed = Signal(code.width)
        if code.protection == "secded":
            m.d.comb += changed.eq(Cat(syndrome == column for column in code.columns))
        corrected, error = changed.any(), syndrome.any() & ~changed.any()
        m.d.comb += self.word.eq(codeword[: code.bits] ^ changed[: code.bits])
        decoded = delay_line(m, valid, 1, name="decoded")
        m.d.comb += [
            self.corrected.eq(delay_line(m, decoded & corrected, 1, name="corrected")),
            self.error.eq(delay_line(m, decoded & error, 1, name="error")),
        ]
        return m
