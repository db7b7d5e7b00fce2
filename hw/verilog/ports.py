"""The ports of a component's Verilog module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from amaranth import ClockSignal, Instance
from amaranth.hdl import Value
from amaranth.lib import wiring


@dataclass(frozen=True)
class Port:
    """A port of a module: name, width in bits, direction."""

    name: str
    width: int
    direction: Literal["input", "output"]


def ports_of(component: wiring.Component) -> dict[Port, Value]:
    """Return the ports of a component in order of declaration, without clock and reset.

    The names of nested members are joined by two underscores, as in Amaranth. Ports of width 0 are
    omitted.
    """
    ports = {}
    for path, member, value in component.signature.flatten(component):
        value = Value.cast(value)
        if len(value):
            direction = "input" if member.flow == wiring.In else "output"
            ports[Port("__".join(map(str, path)), len(value), direction)] = value
    return ports


def instance(
    module: str, component: wiring.Component, *, clock: bool = True, reset: Value | None = None
) -> Instance:
    """Return an instance of a module, connected to the signals of its component.

    Parameters
    ----------
    module : str
        Name of the Verilog module.
    component : Component
        The component that the module was, or will be, generated from.
    clock : bool
        Whether the module has the port ``clk``.
    reset : Value, optional
        Value to connect to the port ``rst``; None if the module has no such port.
    """
    connections = {f"{port.direction[0]}_{port.name}": v for port, v in ports_of(component).items()}
    if clock:
        connections["i_clk"] = ClockSignal()
    if reset is not None:
        connections["i_rst"] = reset
    return Instance(module, **connections)
