"""Registers of a pipeline: delay lines and registers with an enable."""

from amaranth import Module, Signal


def delay_line(m: Module, value, cycles: int, *, name: str, reset: bool = False):
    """Delay a value by a number of cycles.

    Parameters
    ----------
    m : Module
    value : Value
    cycles : int
        Registers in series; with 0, the value itself is returned.
    name : str
        Prefix of the registers' names.
    reset : bool
        Reset the registers. Only needed where a stale value would take effect.

    Returns
    -------
    Value
        The value of ``cycles`` cycles ago.
    """
    for cycle in range(cycles):
        stage = Signal(value.shape(), name=f"{name}_{cycle + 1}", reset_less=not reset)
        m.d.sync += stage.eq(value)
        value = stage
    return value


def enabled_register(m: Module, value, enable, *, name: str):
    """Register a value in every cycle in which ``enable`` is high.

    Synthesis can gate the register's clock. Latency: 1 cycle.
    """
    register = Signal(value.shape(), name=f"{name}_1", reset_less=True)
    with m.If(enable):
        m.d.sync += register.eq(value)
    return register
