"""Static timing analysis by OpenSTA, with an ideal clock and without wires."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from implicore.cache import cached
from implicore.errors import BadInput
from implicore.process import ToolFailed, run

from .target import TEST_ENABLE

OUTPUT_LOAD_PF = 0.01
"""Load of every output port."""

PATHS = 5
"""Number of longest paths to report, each with another end point."""

PERIOD_NS = 1000.0
"""Clock period of a run; the length of a path is this period less its slack."""


def find_sta() -> str:
    """Return the command of OpenSTA; BadInput with the command that installs it if missing."""
    command = shutil.which("sta")
    if command is None:
        raise BadInput("Timing needs OpenSTA: apt-get install opensta.")
    return command


@dataclass(frozen=True)
class TimingPath:
    """A path between registers, ports and memories.

    Attributes
    ----------
    delay_ns : float
        The minimum clock period that it allows, setup included.
    start, end : str
        Names in the Amaranth source: the instances, then the register.
    steps : tuple of (float, str)
        Arrival time in ns, and pin with its cell, for each line of the report.
    """

    delay_ns: float
    start: str
    end: str
    steps: tuple[tuple[float, str], ...]


def least_period(
    name: str, netlist: Path, liberties: Sequence[Path], folder: Path, *, driver: str = ""
) -> float:
    """Return the minimum clock period of a module alone, in ns; 0 without a timing path.

    Inputs arrive at the clock edge, driven by a cell of type ``driver`` if one is given. Children
    are timed if they are macros of one of the libraries. ``stubs.v`` beside the netlist declares
    the ports of all other children: without directions, OpenSTA would take each of their pins for
    a driver of its net.
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
    """Return the longest paths of a design, longest first.

    Parameters
    ----------
    top : str
    netlists, liberties : sequences of Path
    inside : bool
        Report only paths from register to register.
    """
    script = [f"read_liberty {wireless(path)}" for path in liberties]
    script += [f"read_verilog {path}" for path in netlists]
    script += [f"link_design {top}", _constraints(), _FALSE_PATHS]
    ends = "-from [all_registers -clock_pins] -to [all_registers -data_pins]" if inside else ""
    script.append(f"report_checks -path_delay max -group_count {PATHS} -digits 3 {ends}")

    def make(folder: Path) -> None:
        _sta(script, folder)

    folder = cached("timing", [top, inside, Path(__file__), *liberties, *netlists], make)
    text = (folder / "sta.log").read_text(encoding="utf-8")
    return [_path(part) for part in text.split("Startpoint: ")[1:]]


def wireless(liberty: Path) -> Path:
    """Copy the library without default wire loads, which OpenSTA would add to every net.

    They are estimates of a typical net of the process; this flow leaves wires out.
    """

    def make(folder: Path) -> None:
        content = liberty.read_text(encoding="utf-8")
        content = re.sub(r"^\s*default_wire_load\w* *:.*$", "", content, flags=re.M)
        (folder / liberty.name).write_text(content, encoding="utf-8")

    return cached("wireless", [liberty, Path(__file__)], make) / liberty.name


def _constraints() -> str:
    # Without this, OpenSTA takes and prints numbers in the units of the first library.
    return f"""set_cmd_units -time ns -capacitance pF
create_clock -name clk -period {PERIOD_NS} [get_ports clk]
set_input_delay 0 -clock clk [all_inputs]
set_output_delay 0 -clock clk [all_outputs]
set_load {OUTPUT_LOAD_PF} [all_outputs]
{_OPERATION}"""


# A netlist for scan is timed in operation.
_OPERATION = (
    f"if {{[llength [get_ports -quiet {TEST_ENABLE}]]}} "
    f"{{set_case_analysis 0 [get_ports {TEST_ENABLE}]}}"
)
# An external reset ends long before operation begins. A reset from logic is timed.
_FALSE_PATHS = "if {[llength [get_ports -quiet rst]]} {set_false_path -from [get_ports rst]}"


def _sta(script: list[str], folder: Path) -> str:
    """Run a script in a folder and return the output of OpenSTA."""
    (folder / "sta.tcl").write_text("\n".join([*script, "exit"]) + "\n", encoding="utf-8")
    run([find_sta(), "-no_splash", "-exit", "sta.tcl"], folder)
    text = (folder / "sta.log").read_text(encoding="utf-8")
    if errors := re.findall(r"^Error:.*$", text, re.M):  # the exit code is 0 nevertheless
        raise ToolFailed(f"sta failed: {errors[0]}")
    return text


def _path(text: str) -> TimingPath:
    """Parse one path of ``report_checks``."""
    start, end = text.split()[0], re.search(r"^Endpoint: (\S+)", text, re.M)[1]
    slack = float(re.search(r"(-?[\d.]+) +slack", text)[1])
    steps = re.findall(r"^ +-?[\d.]+ +(-?[\d.]+) [v^] (\S+ \(\w+\))$", text, re.M)
    return TimingPath(
        PERIOD_NS - slack, start, end, tuple((float(time), pin) for time, pin in steps)
    )
