"""Wide counters that are no slower than the array."""

from amaranth import Module, Signal, Value

PART = 16
"""Bits of a counter that are counted at once."""


def tally(m: Module, total: Signal, when, amount, clear):
    """Add ``amount`` to ``total`` in every cycle of ``when``; ``clear`` makes it 0.

    A counter is made of parts. Of all but the lowest it is known beforehand whether they are full,
    so that no carry runs through them. What the lowest one carries is right at once if the amount
    is 1, and known to the next part a cycle later if it is more.

    Parameters
    ----------
    m : Module
    total : Signal
        A register of this module.
    when : Value
    amount : Value or int
        At least 1.
    clear : Value
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
