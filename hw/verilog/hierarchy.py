"""One Verilog module for each distinct component of a hierarchy.

Amaranth elaborates a hierarchy into one module per *instance*. Here each component is elaborated
once, alone, with its sub-components replaced by instances of modules, and components of one class
with equal parameters share one module. A 64 x 64 array therefore costs no more than a 2 x 2 array,
and every module has the ports of its component.
"""

from __future__ import annotations

import re
from collections import Counter

from amaranth import Module, ResetSignal, Signal
from amaranth.lib import wiring

from ..memory import Ram
from .amaranth_internals import (
    mark_used,
    named_submodules,
    replace_submodule,
    run_yosys,
    split_reset,
    to_rtlil,
)
from .naming import PREFIX, module_name
from .parameters import parameters
from .ports import instance, ports_of

PACKAGE = __package__.rpartition(".")[0]
"""Components of this package become modules; Amaranth's stay part of their parent's module."""


class Hierarchy:
    """The modules of a component and of all components within it.

    Parameters
    ----------
    top : Component
        The component that becomes the module ``PREFIX``.

    Attributes
    ----------
    texts : dict of str to str
        RTLIL of each module except the memories, by name.
    rams : dict of str to Ram
        One memory of each kind, by module name.

    Raises
    ------
    TypeError
        If a component does not state its parameters (see ``parameters``).
    """

    def __init__(self, top: wiring.Component):
        self.texts: dict[str, str] = {}
        self.rams: dict[str, Ram] = {}
        self._names: dict[tuple, str] = {}  # key of a component: name of its module
        self._children: dict[str, list[str]] = {}  # modules instantiated in a module
        self._module(top, PREFIX)

    def _module(self, component: wiring.Component, name: str) -> str:
        """Return the name of the component's module; make the module if it does not exist."""
        # The signature is included in case a port's shape depends on more than the parameters.
        key = type(component), *parameters(component).values(), repr(component.signature)
        if key not in self._names:
            taken = [other for other in self._names.values() if re.sub(r"_\d+$", "", other) == name]
            self._names[key] = name = f"{name}_{len(taken)}" if taken else name
            self._children[name] = []
            if isinstance(component, Ram):
                self.rams[name] = component
            else:
                self._elaborate(component, name)
        return self._names[key]

    def _elaborate(self, component: wiring.Component, name: str) -> None:
        module = component.elaborate(None)
        mark_used(component)
        for label, submodule in named_submodules(module).items():
            inner, reset = split_reset(submodule)
            if not type(inner).__module__.startswith(f"{PACKAGE}."):
                continue
            child = self._module(inner, module_name(inner))
            mark_used(inner)
            mark_used(submodule)
            self._children[name].append(child)
            for port, value in ports_of(inner).items():
                if isinstance(value, Signal):
                    value.name = f"{label}_{port.name}"  # its name in this module
            has_clock, has_reset = (self._has_port(child, port) for port in ("clk", "rst"))
            reset = ResetSignal() if reset is None else ResetSignal() | reset
            replacement = instance(
                child, inner, clock=has_clock, reset=reset if has_reset else None
            )
            replace_submodule(module, label, replacement)
        self.texts[name] = _rtlil(name, component, module)

    def _has_port(self, name: str, port: str) -> bool:
        """Return whether a module has this port, a clock or a reset."""
        if name in self.rams:
            return port == "clk"
        return (
            re.search(rf"^  wire width 1 input \d+ +\\{port}$", self.texts[name], re.M) is not None
        )

    def instances(self) -> dict[str, int]:
        """Return the number of instances of every module, including the top."""
        counts = dict.fromkeys(self._names.values(), 0)

        def visit(name: str, times: int) -> None:
            counts[name] += times
            for child, count in Counter(self._children[name]).items():
                visit(child, times * count)

        visit(PREFIX, 1)
        return counts

    def verilog(self) -> str:
        """Return the Verilog of all modules except the memories."""
        text = "\n".join(self.texts.values())
        text = re.sub(rf"\\({PREFIX}\w*)\.(\w+)", r"\\\1_\2", text)  # a component of Amaranth
        text = run_yosys(f"""read_rtlil <<rtlil
{text}
rtlil
proc -nomux -norom
memory_collect
opt_clean -purge
attrmap -remove generator -remove top -remove src -remove amaranth.hierarchy
write_verilog -noattr
""")
        # Yosys names its initial triggers after a line number in its source.
        text = re.sub(r"\\\$auto\$verilog_backend\.cc:\d+:dump_module\$(\d+) ", r"trigger_\1", text)
        text = re.sub(r"^/\* Generated by .*\*/\n", "", text)
        return "".join(map(_run_at_start, re.split(r"(?<=\nendmodule\n)", text)))


def _rtlil(name: str, component: wiring.Component, module: Module) -> str:
    ports = {port.name: (value, port.direction) for port, value in ports_of(component).items()}
    text = to_rtlil(module, name, ports)
    # Amaranth gives every module with a clock a reset, even if nothing in it is reset.
    for port in ("clk", "rst"):
        if len(re.findall(rf"\\{port}\b", text)) == 1:
            text = re.sub(rf"\n  wire width 1 input \d+ +\\{port}\n", "\n", text)
    return text


def _run_at_start(module: str) -> str:
    """Make simulators run every ``always @*`` of a module once at the beginning.

    Yosys makes these blocks sensitive to a trigger that is declared as 0. Icarus sets it before any
    process can wait for it, and some blocks are not sensitive to it at all: a value that depends
    only on constants and initial values would stay X forever.
    """
    trigger = re.search(r"reg (trigger_\d+) = 0;", module)
    if not trigger:
        return module
    name = trigger[1]
    module = module.replace(trigger[0], f"reg {name};\n  initial {name} <= 1'b0;")
    block = rf"always @* begin\n    if ({name}) begin end\n    \1\n  end\n"
    return re.sub(r"always @\*\n    (\S.*;)\n", block, module)
