"""Delays by OpenSTA: ideal clock, no wires."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from implicore.cache import cached
from implicore.errors import BadInput
from implicore.process import ToolFailed, run

OUTPUT_LOAD_PF = 0.01
"""At every output port."""

PATHS = 5
"""Reported of the longest, each with another end."""

PERIOD_NS = 1000.0
"""Of the clock in a run: what a path leaves of it tells its length."""


def find_sta() -> str:
    """The command of OpenSTA; BadInput, saying how to get it, if there is none."""
    command = shutil.which("sta")
    if command is None:
        raise BadInput("Timing needs OpenSTA: apt-get install opensta.")
    return command


@dataclass(frozen=True)
class TimingPath:
    """A path from register to register, port or memory.

    Attributes
    ----------
    delay_ns : float
        Of the least clock period that it allows, setup included.
    start, end : str
        In names of the Amaranth source: instance by instance, then the register.
    steps : tuple of (float, str)
        Time of arrival and pin with its cell, one a line of the report.
    """

    delay_ns: float
    start: str
    end: str
    steps: tuple[tuple[float, str], ...]


def least_period(
    name: str, netlist: Path, liberties: Sequence[Path], folder: Path, *, driver: str = ""
) -> float:
    """The least clock period of a module alone, in ns; 0 if nothing in it takes time.

    All inputs arrive with the clock, through a cell of the given type if there is one; what is
    behind the ports of its children is looked at if they are macros of one of the libraries. The
    others' ports stand in ``stubs.v`` beside the netlist: pins whose direction OpenSTA did not know
    would each lead to every other one of their net.
    """
    script = [f"read_liberty {wireless(liberty)}" for liberty in liberties]
    script += [f"read_verilog {netlist.with_name('stubs.v')}", f"read_verilog {netlist}"]
    script.append(f"link_design {name}")
    if driver:
        script.append(f"set_driving_cell -lib_cell {driver} [all_inputs]")
    text = _sta([*script, _constraints(), "report_worst_slack"], folder)
    slack = float(re.search(r"^worst slack (\S+)$", text, re.M)[1])
    return max(0.0, PERIOD_NS - slack)


def longest_paths(
    top: str,
    netlists: Sequence[Path],
    liberties: Sequence[Path],
    *,
    inside: bool = False,
) -> list[TimingPath]:
    """The longest paths of a design, longest first.

    Parameters
    ----------
    top : str
    netlists, liberties : sequences of Path
    inside : bool
        Only those from register to register.
    """
    script = [f"read_liberty {wireless(path)}" for path in liberties]
    script += [f"read_verilog {path}" for path in netlists]
    script += [f"link_design {top}", _constraints(), _FALSE_PATHS]
    ends = "-from [all_registers -clock_pins] -to [all_registers -data_pins]" if inside else ""
    script.append(f"report_checks -path_delay max -group_count {PATHS} -digits 3 {ends}")

    def make(folder: Path) -> None:
        _sta(script, folder)

    folder = cached("timing", [script, *liberties, *netlists], make)
    text = (folder / "sta.log").read_text(encoding="utf-8")
    return [_path(part) for part in text.split("Startpoint: ")[1:]]


def wireless(liberty: Path) -> Path:
    """The library without its default wire loads, which OpenSTA would add to every net.

    They are guesses of a process' typical net; this flow states that it leaves wires out.
    """

    def make(folder: Path) -> None:
        content = liberty.read_text(encoding="utf-8")
        content = re.sub(r"^\s*default_wire_load\w* *:.*$", "", content, flags=re.M)
        (folder / liberty.name).write_text(content, encoding="utf-8")

    return cached("wireless", liberty, make) / liberty.name


def _constraints() -> str:
    return f"""create_clock -name clk -period {PERIOD_NS} [get_ports clk]
set_input_delay 0 -clock clk [all_inputs]
set_output_delay 0 -clock clk [all_outputs]
set_load {OUTPUT_LOAD_PF} [all_outputs]"""


# A reset from outside is awaited before anything begins; inside, one that comes from logic counts.
_FALSE_PATHS = "if {[llength [get_ports -quiet rst]]} {set_false_path -from [get_ports rst]}"


def _sta(script: list[str], folder: Path) -> str:
    """What OpenSTA prints of a script in a folder."""
    (folder / "sta.tcl").write_text("\n".join([*script, "exit"]) + "\n", encoding="utf-8")
    run([find_sta(), "-no_splash", "-exit", "sta.tcl"], folder)
    text = (folder / "sta.log").read_text(encoding="utf-8")
    if errors := re.findall(r"^Error:.*$", text, re.M):  # of which its exit code says nothing
        raise ToolFailed(f"sta failed: {errors[0]}")
    return text


def _path(text: str) -> TimingPath:
    """One path of ``report_checks``."""
    start, end = text.split()[0], re.search(r"^Endpoint: (\S+)", text, re.M)[1]
    slack = float(re.search(r"(-?[\d.]+) +slack", text)[1])
    steps = re.findall(r"^ +-?[\d.]+ +(-?[\d.]+) [v^] (\S+ \(\w+\))$", text, re.M)
    return TimingPath(
        PERIOD_NS - slack, start, end, tuple((float(time), pin) for time, pin in steps)
    )
