"""Verilog of an accelerator: one module per distinct component, and the files that go with it.

Amaranth elaborates a hierarchy into one module per *instance*. Here each component is elaborated
once, alone, with its sub-components replaced by instances of modules, and components made with
equal parameters share one. So a 64 x 64 array costs no more than a 2 x 2 one, and every module
has its component's own ports.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from amaranth import ClockSignal, Instance, Module, ResetInserter, ResetSignal, Signal
from amaranth._toolchain.yosys import find_yosys
from amaranth.back import rtlil
from amaranth.hdl import Value
from amaranth.lib import wiring

from implicore import __version__
from implicore.accelerator_config import AcceleratorConfig
from implicore.atomic import atomic_write
from implicore.registers import REGISTERS, addresses, c_header

from .accelerator import Accelerator
from .core import banks
from .memory import Bank, Ram

PREFIX = "implicore"


@dataclass(frozen=True)
class Port:
    """A port of a module: its name there, its width, its direction, ``input`` or ``output``."""

    name: str
    width: int
    direction: str


def ports_of(component: wiring.Component) -> dict[Port, Value]:
    """The ports of a component in the order of their declaration, clock and reset apart."""
    found = {}
    for path, member, value in component.signature.flatten(component):
        value = Value.cast(value)
        if len(value):
            direction = "input" if member.flow == wiring.In else "output"
            found[Port("__".join(map(str, path)), len(value), direction)] = value
    return found


class _Library:
    """Modules made so far, each as RTLIL text; memories apart."""

    def __init__(self):
        self.texts = {}  # module name to RTLIL
        self.rams = {}  # module name to the first Ram of the kind
        self._names = {}  # parameters to module name
        self._children = {}  # module name to the modules instantiated in it

    def module(self, component: wiring.Component) -> str:
        """The name of the component's module, which is made if there is none yet."""
        key = _parameters(component)
        if key not in self._names:
            self._names[key] = name = self._new_name(component)
            if isinstance(component, Ram):
                self.rams[name] = component
                self._children[name] = []
            else:
                self._make(name, component)
        return self._names[key]

    def _new_name(self, component) -> str:
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(component).__name__).lower()
        name = PREFIX if isinstance(component, Accelerator) else f"{PREFIX}_{words}"
        if isinstance(component, Ram):
            name = _ram_name(component)
        taken = [other for other in self._names.values() if re.sub(r"_\d+$", "", other) == name]
        return f"{name}_{len(taken)}" if taken else name

    def _make(self, name: str, component):
        module = component.elaborate(None)
        component._MustUse__used = True  # or Amaranth would warn that it is not elaborated
        self._children[name] = []
        for label, (submodule, _) in list(module._named_submodules.items()):
            inner, reset = _unwrap(submodule)
            if not type(inner).__module__.startswith(__package__):
                continue  # Amaranth's own parts stay where they are
            child = self.module(inner)
            inner._MustUse__used = submodule._MustUse__used = True
            self._children[name].append(child)
            connections = {
                f"{port.direction[0]}_{port.name}": value for port, value in ports_of(inner).items()
            }
            for port, value in ports_of(inner).items():
                if isinstance(value, Signal):
                    value.name = f"{label}_{port.name}"  # as it is called in this module
            if self.has_port(child, "clk"):
                connections["i_clk"] = ClockSignal()
            if self.has_port(child, "rst"):
                connections["i_rst"] = ResetSignal() if reset is None else ResetSignal() | reset
            del module._named_submodules[label]
            module.submodules[label] = Instance(child, **connections)
        self.texts[name] = _rtlil(name, component, module)

    def has_port(self, name: str, port: str) -> bool:
        """Whether a module has this port: only clock and reset come and go."""
        if name in self.rams:
            return port == "clk"
        return (
            re.search(rf"^  wire width 1 input \d+ +\\{port}$", self.texts[name], re.M) is not None
        )

    def count(self, top: str):
        """Instances of every module below and including the top."""
        counts = dict.fromkeys(self._names.values(), 0)

        def visit(name, times):
            counts[name] += times
            for child in set(self._children[name]):
                visit(child, times * self._children[name].count(child))

        visit(top, 1)
        return counts


def _parameters(component) -> tuple:
    """What tells a component from others of its class: its attributes that are no ports."""
    names = sorted(set(vars(component)) - set(component.signature.members) - {"_signature"})
    names = [name for name in names if not name.startswith("_")]
    return type(component), *((name, repr(vars(component)[name])) for name in names)


def _ram_name(bank: Bank | Ram) -> str:
    return f"{PREFIX}_ram_{bank.role}"


def _unwrap(submodule):
    """The component inside a ``ResetInserter``, and its reset; None if there is none."""
    if not hasattr(submodule, "_transforms_"):
        return submodule, None
    (inserter,) = submodule._transforms_
    assert isinstance(inserter, ResetInserter)
    return submodule._elaboratable_, inserter.controls["sync"]


def _rtlil(name: str, component, module: Module) -> str:
    directions = {"input": rtlil._ir.PortDirection.Input, "output": rtlil._ir.PortDirection.Output}
    ports = {
        port.name: (value, directions[port.direction])
        for port, value in ports_of(component).items()
    }
    text = rtlil.convert(module, name=name, ports=ports, emit_src=False)
    # Amaranth gives every module with a clock a reset, even if nothing in it is reset.
    for port in ("clk", "rst"):
        if len(re.findall(rf"\\{port}\b", text)) == 1:
            text = re.sub(rf"\n  wire width 1 input \d+ +\\{port}\n", "\n", text)
    return text


def logic(config: AcceleratorConfig) -> tuple[str, _Library]:
    """The Verilog of everything but the memories."""
    library = _Library()
    library.module(Accelerator(config))
    text = "\n".join(library.texts.values())
    text = re.sub(rf"\\({PREFIX}\w*)\.(\w+)", r"\\\1_\2", text)  # a part of Amaranth's own
    script = f"""read_rtlil <<rtlil
{text}
rtlil
proc -nomux -norom
memory_collect
opt_clean -purge
attrmap -remove generator -remove top -remove src -remove amaranth.hierarchy
write_verilog -noattr
"""
    os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")
    yosys = find_yosys(lambda version: version >= (0, 40))
    # It warns of processes that Verilog cannot express; Amaranth makes none of those.
    text = yosys.run(["-q", "-"], script, ignore_warnings=True)
    # The names of its initial triggers tell of the tool's inside.
    text = re.sub(r"\\\$auto\$verilog_backend\.cc:\d+:dump_module\$(\d+) ", r"trigger_\1", text)
    text = re.sub(r"^/\* Generated by .*\*/\n", "", text)
    return "".join(_run_at_start(m) for m in re.split(r"(?<=\nendmodule\n)", text)), library


def _run_at_start(module: str) -> str:
    """Make simulators run every ``always @*`` of a module once at the beginning.

    Yosys has them watch a trigger that is declared as 0. Icarus sets it before any process can
    watch, and some blocks do not watch it at all: what depends on constants and initial values
    alone would stay X for ever.
    """
    trigger = re.search(r"reg (trigger_\d+) = 0;", module)
    if not trigger:
        return module
    name = trigger[1]
    module = module.replace(trigger[0], f"reg {name};\n  initial {name} <= 1'b0;")
    block = rf"always @* begin\n    if ({name}) begin end\n    \1\n  end\n"
    return re.sub(r"always @\*\n    (\S.*;)\n", block, module)


def memory(name: str, ram: Ram, kind: Literal["inferred", "blackbox"]) -> str:
    """A memory's module: behaviour that synthesis turns into block RAM, or its ports alone."""
    address = (ram.depth - 1).bit_length() or 1
    ports = f"""    input clk,
    input write_enable,
    input [{address - 1}:0] write_address,
    input [{ram.width - 1}:0] write_data,
    input read_enable,
    input [{address - 1}:0] read_address,
    output {"reg " if kind == "inferred" else ""}[{ram.width - 1}:0] read_data
"""
    if kind == "blackbox":
        return f"(* blackbox *)\nmodule {name} (\n{ports});\nendmodule\n"
    return f"""module {name} (
{ports});
  reg [{ram.width - 1}:0] words [0:{ram.depth - 1}];
`ifndef SYNTHESIS
  initial read_data = 0; // an idle step multiplies it by 0, and X times 0 is X
`endif
  always @(posedge clk) begin
    if (write_enable) words[write_address] <= write_data;
    if (read_enable) read_data <= words[read_address];
  end
endmodule
"""


WAIVERS = {
    "DECLFILENAME": "all modules stand in one file",
    "INITIALDLY": "a trigger must come after every process has begun to watch it",
    "PROCASSINIT": "registers have a power-up value as well as, some of them, a reset",
    "CASEINCOMPLETE": "what a case does not list keeps the value assigned before it",
    "WIDTHEXPAND": "Verilog's own extension of the narrower operand is what is meant",
    "WIDTHTRUNC": "`!` of a vector is meant: all bits zero",
    "UNUSEDSIGNAL": "carries and other bits that an operator yields and nobody needs",
}
"""Verilator's warnings that the Verilog gives rise to, and why they are harmless."""


def waivers() -> str:
    """``WAIVERS`` as a Verilator configuration file."""
    lines = ["`verilator_config"]
    for rule, reason in WAIVERS.items():
        lines += [f"// {reason}", f"lint_off -rule {rule}"]
    return "\n".join(lines) + "\n"


def _entry(module: str, bank: Bank | Ram, instances: int) -> dict:
    return {
        "module": module,
        "role": bank.role,
        "depth": bank.depth,
        "width": bank.width,
        "instances": instances,
        "write_ports": 1,
        "read_ports": 1,
        # A macro with a single port will do where both are never used together.
        "reads_while_written": bank.role in ("features", "hidden"),
    }


def memory_list(config: AcceleratorConfig) -> list[dict]:
    """The memories in the sidecar, without generating anything."""
    return [_entry(_ram_name(bank), bank, instances) for bank, instances in banks(config)]


def sidecar(config: AcceleratorConfig, library: _Library) -> dict:
    """What a program may want to know of the hardware: the JSON file."""
    top = Accelerator(config)
    top._MustUse__used = True
    counts = library.count(PREFIX)
    return {
        "version": __version__,
        "configuration": config.to_dict(),
        "digest": f"{config.digest:08x}",
        "ports": [
            {"name": "clk", "width": 1, "direction": "input"},
            {"name": "rst", "width": 1, "direction": "input"},
            *(asdict(port) for port in ports_of(top)),
        ],
        "memories": [_entry(name, ram, counts[name]) for name, ram in library.rams.items()],
        "modules": counts,
        "registers": [
            {**asdict(register), "address": addresses()[register.name]} for register in REGISTERS
        ],
    }


def core_file(config: AcceleratorConfig) -> str:
    """A FuseSoC core description."""
    return f"""CAPI=2:
name: ::{PREFIX}:{__version__}
description: Decoder of implicit neural representations, {config.rows} x {config.columns}

filesets:
  rtl:
    files:
      - {PREFIX}.v
      - {PREFIX}_memories.v
    file_type: verilogSource
  lint:
    files:
      - {PREFIX}.vlt
    file_type: vlt
  software:
    files:
      - {PREFIX}.h: {{is_include_file: true}}
    file_type: cSource

targets:
  default:
    description: The accelerator, to be used by other cores
    filesets: [rtl, software]
    toplevel: {PREFIX}
  lint:
    description: Verilator's lint, every warning an error
    flow: lint
    flow_options:
      tool: verilator
      verilator_options: [-Wall]
    filesets: [lint, rtl]
    toplevel: {PREFIX}
"""


def generate(
    config: AcceleratorConfig,
    folder: str | Path,
    *,
    memories: Literal["inferred", "blackbox"] = "inferred",
) -> dict:
    """Write an accelerator's files into a folder, which is made if there is none.

    ``implicore.v`` (logic), ``implicore_memories.v`` (every bank a module with plain ports; to be
    replaced where SRAM macros are to take their place), ``implicore.vlt`` (what Verilator's lint
    should not mind, and why), ``implicore.json``, ``implicore.h`` and ``implicore.core``. The
    same configuration gives the same bytes.

    Returns
    -------
    dict
        ``bytes`` (of Verilog), ``modules``, ``config``, ``files``.
    """
    if memories not in ("inferred", "blackbox"):
        raise ValueError(f"Memories must be inferred or blackbox, not {memories!r}.")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    text, library = logic(config)
    banks = "\n".join(memory(name, ram, memories) for name, ram in library.rams.items())
    files = {
        f"{PREFIX}.v": text,
        f"{PREFIX}_memories.v": banks,
        f"{PREFIX}.vlt": waivers(),
        f"{PREFIX}.json": json.dumps(sidecar(config, library), indent=2) + "\n",
        f"{PREFIX}.h": c_header(),
        f"{PREFIX}.core": core_file(config),
    }
    for name, content in files.items():
        with atomic_write(folder / name) as temporary:
            Path(temporary).write_text(content, encoding="utf-8")
    return {
        "bytes": len(text) + len(banks),
        "modules": len(library.count(PREFIX)),
        "config": config.to_dict(),
        "files": sorted(files),
    }
