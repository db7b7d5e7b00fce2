"""Measure coverage: insert the functional points, run sessions, read what Verilator counted."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from implicore.accelerator_config import AcceleratorConfig
from implicore.hw.verilog.naming import PREFIX
from implicore.sim import fast, simulators
from implicore.sim.script import Script

from .points import Point, points

KINDS = ("line", "branch", "toggle")
"""The kinds of coverage that Verilator counts."""


class Place(NamedTuple):
    """Something in the Verilog that can be covered.

    Attributes
    ----------
    kind : str
        One of ``KINDS``.
    module : str
        The module, without ``implicore_`` and without the number of a variant.
    text : str
        Digest of the module's text. Equal modules of several configurations count once.
    line, column : int
        Where it is in the module.
    what : str
        The bit and its edge, or the branch.
    source : str
        The line of Verilog.
    """

    kind: str
    module: str
    text: str
    line: int
    column: int
    what: str
    source: str


@dataclass
class Coverage:
    """How often everything happened, on one or several accelerators.

    Attributes
    ----------
    places : Counter of Place
    points : Counter of Point without its condition, as (group, name)
    cycles : int
    failures : list of str
        What the sessions found wrong with the accelerator.
    """

    places: Counter = field(default_factory=Counter)
    points: Counter = field(default_factory=Counter)
    cycles: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, other: Coverage) -> None:
        """Add the counts of other sessions."""
        for mine, others in ((self.places, other.places), (self.points, other.points)):
            for key, count in others.items():
                mine[key] += count
        self.cycles += other.cycles
        self.failures += other.failures


class _Module(NamedTuple):
    name: str
    first_line: int
    digest: str
    lines: list[str]


@dataclass
class Instrumented:
    """The Verilog of a configuration with a ``cover`` statement for each functional point."""

    files: list[Path]
    modules: dict[tuple[str, int], _Module]
    statements: dict[tuple[str, int], Point]


def instrument(config: AcceleratorConfig, folder: Path) -> Instrumented:
    """Write the Verilog of a configuration with its functional points into a folder."""
    chosen = points(config)
    modules, statements, files = {}, {}, []
    found = set()
    for path in simulators.verilog(config):
        lines: list[str] = []
        for text in re.split(r"(?<=\nendmodule\n)", path.read_text(encoding="utf-8")):
            name = re.search(rf"^module {PREFIX}_?(\w*) *\(", text, re.M)
            if not name:
                lines += text.splitlines()
                continue
            base = re.sub(r"_\d+$", "", name[1])
            own = text.splitlines()
            first = len(lines) + 1
            digest = hashlib.sha256(text.encode()).hexdigest()[:16]
            module = _Module(base, first, digest, own)
            end = len(own) - 1 - own[::-1].index("endmodule")
            lines += own[:end]
            for point in chosen:
                if point.module == base:
                    found.add(point.module)
                    lines.append(f"  cover property (@(posedge clk) {point.condition});")
                    statements[path.name, len(lines)] = point
            lines += own[end:]
            for number in range(first, len(lines) + 1):
                modules[path.name, number] = module
        files.append(folder / path.name)
        files[-1].write_text("\n".join(lines) + "\n", encoding="utf-8")
    if missing := {point.module for point in chosen} - found:
        raise ValueError(f"Functional points name modules that do not exist: {sorted(missing)}.")
    return Instrumented(files, modules, statements)


def measure(script: Script, *, seed: int = 0) -> Coverage:
    """Run a session and return its coverage.

    Parameters
    ----------
    script : Script
    seed : int
        Seed of the stalls.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        verilog = instrument(script.config, folder)
        simulator = fast.build(script.config, sources=verilog.files, optimize=False, coverage=True)
        counts = folder / "counts"
        responses = simulator.run(script.operations, seed=seed, coverage=counts)
        result = Coverage(cycles=responses.cycles, failures=script.mismatches(responses))
        _read(counts, verilog, result)
    return result


def _read(path: Path, verilog: Instrumented, result: Coverage) -> None:
    """Add the counts in a file of Verilator to a result."""
    for record in re.finditer(r"^C '(.*)' (\d+)$", path.read_text("latin-1"), re.M):
        fields = dict(item.split("\x02", 1) for item in record[1].split("\x01")[1:])
        count, line = int(record[2]), int(fields["l"])
        file = fields["f"].rpartition("/")[2]
        if fields["t"] == "user":
            point = verilog.statements[file, line]
            result.points[point.group, point.name] += count
            continue
        module = verilog.modules[file, line]

        def place(kind, line, column, what, module=module):
            source = module.lines[line - module.first_line].strip()
            line -= module.first_line
            return Place(kind, module.name, module.digest, line, column, what, source)

        if fields["o"] != "block":
            kind = "toggle" if fields["t"] == "toggle" else "branch"
            result.places[place(kind, line, int(fields["n"]), fields["o"])] += count
        for span in filter(None, fields.get("S", "").split(",")):
            first, _, last = span.partition("-")
            for covered in range(int(first), int(last or first) + 1):
                result.places[place("line", covered, 0, "")] += count
