"""The names of the generated modules."""

from __future__ import annotations

import re

from amaranth.lib import wiring

from ..memory import Bank, Ram

PREFIX = "implicore"
"""Name of the top module, of the files, and prefix of all other modules."""


def module_name(component: wiring.Component) -> str:
    """Return the name of a component's module. ``Hierarchy`` adds a number if it is taken."""
    return ram_name(component) if isinstance(component, Ram) else class_name(type(component))


def class_name(kind: type[wiring.Component]) -> str:
    """Return the name of the modules of a class of components other than memories."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()
    return f"{PREFIX}_{words}"


def ram_name(bank: Bank | Ram) -> str:
    """Return the name of a memory's module."""
    return f"{PREFIX}_ram_{bank.role}"
