"""Formal equivalence of a mapped module and its Verilog, by Yosys.

Each module is proven alone: the instances in it, children and macros, are cut out, so that their
inputs are outputs of the module and their outputs are free. If every module is equivalent, the
whole netlist is. Registers and named wires correspond by name. For each pair, Yosys proves that
both are equal if all pairs were equal before: by SAT, over one cycle, then by induction over
``CYCLES`` cycles, which covers registers that mapping has merged. The power-up state is arbitrary.
Flip-flops behind a clock gate count as flip-flops with an enable. An undefined bit of the Verilog
is 0.
"""

from __future__ import annotations

import re
import signal
import tempfile
from pathlib import Path

from implicore.cache import cached_json
from implicore.process import ToolFailed

from . import yosys
from .mapping import Mapped
from .target import Target

CYCLES = 16
"""Cycles of the induction; the delay lines of which mapping merges registers are shorter."""

LIMIT_S = 60
"""Processor time of a proof, in seconds, after which a module counts as not proven."""

STUB = re.compile(r"^\(\* blackbox \*\)\nmodule (\w+).*?^endmodule\n", re.M | re.S)
"""The declaration of a child or a macro, as ``mapping`` and ``memories`` write it."""


def prove(module: Mapped, target: Target, *, limit_s: int = LIMIT_S) -> bool:
    """Return whether the cells of a module are proven equivalent to its Verilog.

    False means a difference, or a proof that the tool did not find.

    Parameters
    ----------
    module : Mapped
        Its folder holds the Verilog and the netlist.
    target : Target
        The cell library.
    limit_s : int
        Processor time after which the proof is given up, in seconds.
    """
    source, stubs, netlist = (
        (module.folder / name).read_text(encoding="utf-8")
        for name in ("module.v", "stubs.v", "netlist.v")
    )
    declared = {found[1]: found[0] for found in STUB.finditer(source + "\n" + stubs)}
    files = {
        "module.v": STUB.sub("", source),
        "stubs.v": "".join(declared.values()),
        "netlist.v": netlist,
        "gates.v": gate_model(target.clock_gate),
    }
    text = script(module.name, list(declared), target)

    def compute() -> bool:
        return _run(text, files, limit_s)

    inputs = [files, text, target.liberty, limit_s, yosys.version(), Path(__file__)]
    return bool(cached_json("equivalence", inputs, compute))


def gate_model(clock_gate: tuple[str, ...]) -> str:
    """Return the Verilog model of a clock gate, which Yosys does not read from a Liberty file."""
    if not clock_gate:
        return ""
    cell, enable, clock, output, *test = clock_gate
    return f"""module {cell} (input {", ".join([enable, clock, *test])}, output {output});
  reg enabled;
  always @* if (!{clock}) enabled = {" | ".join([enable, *test])};
  assign {output} = {clock} & enabled;
endmodule
"""


def script(name: str, children: list[str], target: Target) -> str:
    """Return the Yosys script of a proof; ``children`` are the modules that are cut out."""
    cut = f"expose -evert {' '.join(f't:{child}' for child in children)}" if children else ""
    return f"""read_verilog -DSYNTHESIS module.v
read_verilog stubs.v
hierarchy -check -top {name}
proc
flatten
memory
techmap
setundef -zero
opt_clean
{cut}
design -stash gold
read_verilog stubs.v
read_verilog netlist.v
read_liberty -ignore_miss_func {target.liberty}
read_verilog -overwrite gates.v
hierarchy -check -top {name}
proc
flatten
techmap
opt_expr
opt_dff
formalff -declockgate
opt_clean
{cut}
design -stash gate
design -copy-from gold -as gold {name}
design -copy-from gate -as gate {name}
equiv_make gold gate equiv
hierarchy -top equiv
equiv_simple
equiv_induct -seq {CYCLES}
tee -o status.txt equiv_status
"""


def _run(text: str, files: dict[str, str], limit_s: int) -> bool:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in files.items():
            (folder / file).write_text(content, encoding="utf-8")
        try:
            yosys.yosys(text, folder, limit_s=limit_s)
        except ToolFailed as error:
            if str(error).startswith(f"yosys failed ({-signal.SIGXCPU})"):
                return False
            raise
        status = (folder / "status.txt").read_text(encoding="utf-8")
        return "Equivalence successfully proven!" in status
