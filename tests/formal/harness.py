# amaranth: UnusedElaboratable=no
"""A harness around a component, and the properties that several proofs share.

A *harness* instantiates a component, assumes what its environment guarantees and asserts what the
component guarantees. Each proof comes with a *fault*, a changed expression in the component's
source, for which it must fail: a proof that cannot fail proves nothing.

The mode ``pdr`` is property-directed reachability, which finds its own induction invariants and
holds for all time. ``bmc`` is bounded model checking, which covers every behaviour for a number of
cycles after reset.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Literal

from amaranth import Module, ResetSignal, Signal, Value
from amaranth.back import rtlil
from amaranth.hdl import Assert, Assume
from amaranth.lib.wiring import In

from implicore.accelerator_config import AcceleratorConfig
from implicore.formats import Formats
from implicore.network_shape import NetworkShape

FORMATS = Formats.parse("w4a4o8")
TINY = AcceleratorConfig.sized(2, 2, FORMATS, [NetworkShape(1, 3, 3, (2, 3))])


@dataclass(frozen=True)
class Proof:
    """A property, how it is proven, and the fault that must break it.

    Parameters
    ----------
    module : str
        Name of the component's module in ``implicore.hw``.
    harness : function
        Takes that module, with or without the fault, and returns the harness.
    mode : str
        ``pdr`` or ``bmc``.
    depth : int
        Cycles from reset; 0 for ``pdr``, which is unbounded.
    fault : tuple of (str, str)
        An expression in the module's source, and its replacement.
    """

    module: str
    harness: Callable[[ModuleType], Harness]
    mode: Literal["pdr", "bmc"]
    depth: int
    fault: tuple[str, str]


def past(m: Module, value, name: str):
    """Return the value of the previous cycle."""
    before = Signal(value.shape(), name=name)
    m.d.sync += before.eq(value)
    return before


class Harness:
    """A module ``m`` around a component. Its inputs and the signals of ``free`` are unconstrained.

    ``begun`` is high from the second cycle on, when a previous cycle exists.
    """

    def __init__(self, component):
        self.m = m = Module()
        m.submodules.dut = component
        self.begun = Signal()
        m.d.sync += self.begun.eq(1)
        m.d.comb += Assume(~ResetSignal())
        flat = component.signature.flatten(component)
        self.free = [Value.cast(value) for _, member, value in flat if member.flow == In]

    def rtlil(self) -> str:
        """Return the harness as RTLIL, with the free signals as ports."""
        return rtlil.convert(self.m, name="top", ports=self.free, emit_src=False)


def holds_under_stall(harness: Harness, valid, ready, payload, restart=None, name="payload"):
    """Assert that a valid transfer stays valid, with the same payload, until accepted.

    A cycle in which ``restart`` is high is exempt.
    """
    m = harness.m
    stalls = valid & ~ready if restart is None else valid & ~ready & ~restart
    stalled, before = past(m, stalls, f"{name}_stalled"), past(m, payload, f"{name}_before")
    with m.If(harness.begun & stalled):
        m.d.comb += [Assert(valid), Assert(payload == before)]


def ever(m: Module, event):
    """Return whether the event has happened in an earlier cycle."""
    seen = Signal(name="seen")
    with m.If(event):
        m.d.sync += seen.eq(1)
    return seen
