"""The parameters of a component, which decide whether two components share a Verilog module."""

from __future__ import annotations

import inspect
from collections.abc import Hashable

from amaranth.lib import wiring

from .amaranth_internals import attributes


def parameters(component: wiring.Component) -> dict[str, Hashable]:
    """Return the arguments that a component was constructed with, by name.

    A component keeps each argument of its constructor in an attribute of the same name, and has no
    other attributes except its ports. Two components of one class with equal parameters therefore
    elaborate to the same module: no hidden state can make them differ.

    Raises
    ------
    TypeError
        If an argument is not kept or not hashable, or if there is any other attribute.
    """
    name = type(component).__name__
    arguments = _arguments(type(component))
    others = sorted(attributes(component) - set(arguments))
    if others:
        raise TypeError(
            f"{name}.{others[0]} is neither a port nor an argument of {name}'s constructor: "
            f"make it an argument, or compute it in a property or in elaborate()."
        )
    values = {}
    for argument in arguments:
        if argument not in vars(component):
            raise TypeError(
                f"{name} does not keep its argument {argument}: set self.{argument} in __init__()."
            )
        value = values[argument] = vars(component)[argument]
        if not isinstance(value, Hashable):
            raise TypeError(
                f"{name}.{argument} is a {type(value).__name__}, which is not hashable: "
                "use a tuple or a frozen dataclass."
            )
    return values


def _arguments(component: type[wiring.Component]) -> list[str]:
    """Return the names of the constructor's arguments."""
    if component.__init__ is wiring.Component.__init__:
        return []  # its ports are annotations of the class
    return list(inspect.signature(component).parameters)
