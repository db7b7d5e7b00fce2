"""Wide counters that do not limit the clock."""

from amaranth import Module, Mux, Signal, Value

PART = 16
"""Width of a part of a counter, which is incremented in one cycle."""


def tally(m: Module, total: Signal, when, amount, clear):
    """Add ``amount`` to ``total`` in every cycle in which ``when`` is high.

    The counter is split into parts. For each part except the lowest, a register is high while the
    part is all ones, so no carry chain spans two parts. If the amount is 1, the carry of the lowest
    part takes effect at once; otherwise it is registered, and the next part is one cycle late.

    Parameters
    ----------
    m : Module
    total : Signal
        The counter, a register of ``m``.
    when : Value
        Count in this cycle.
    amount : Value or int
        At least 1.
    clear : Value
        Set the counter to 0.
    """
    low = 0
    if not (isinstance(amount, int) and amount == 1):
        low = min(len(total), max(PART, len(Value.cast(amount))))
        carry = Signal(name=f"{total.name}_carry")
        following = total[:low] + amount
        m.d.sync += carry.eq(when & following[low])
        with m.If(when):
            m.d.sync += total[:low].eq(following)
        with m.If(clear):
            m.d.sync += [total[:low].eq(0), carry.eq(0)]
        when = carry
    for first in range(low, len(total), PART):
        part = total[first : first + PART]
        full = Signal(name=f"{total.name}_full_{first}")
        with m.If(when):
            m.d.sync += [part.eq(part + 1), full.eq(part == (1 << len(part)) - 2)]
        with m.If(clear):
            m.d.sync += [part.eq(0), full.eq(0)]
        when = when & full


def saturating_tally(m: Module, total: Signal, amount: Value, clear):
    """Add ``amount`` to ``total`` in every cycle, up to the largest value of ``total``.

    Parameters
    ----------
    m : Module
    total : Signal
        The counter, a register of ``m``. It has few bits: they are added in one cycle.
    amount : Value
        At most as wide as ``total``.
    clear : Value
        Set the counter to 0.
    """
    following = total + amount
    m.d.sync += total.eq(Mux(clear, 0, Mux(following[len(total)], -1, following)))
