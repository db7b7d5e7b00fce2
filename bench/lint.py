"""Lint of the generated Verilog by Verilator, Icarus, slang and Yosys, with all warnings."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from implicore.errors import BadInput
from implicore.process import ToolFailed
from implicore.sim.simulators import find_icarus, find_verilator
from implicore.synth import yosys

TOP = "implicore"

SLANG_WAIVERS = {
    "arith-op-mismatch": "Verilog's extension of the narrower operand is intended",
    "sign-conversion": "a product of signed operands is assigned to a wire, which has no sign",
    "width-trunc": "an element of an array is the lowest bits of a shifted vector",
    "case-default": "a value that a case does not list keeps its earlier assignment",
    "case-incomplete": "the same",
    "unused-but-set-net": "a signal may have further names, which a waveform shows",
    "unused-port": "AXI's protection bits have no effect",
}
"""slang's warnings, each with the reason for waiving it; those of Verilator are in the package."""

SLANG = """import sys
from pyslang.driver import Driver
driver = Driver()
driver.addStandardArgs()
read = driver.parseCommandLine(sys.argv[1]) and driver.processOptions()
if not (read and driver.parseAllSources()):
    sys.exit("slang cannot read its input")
compilation = driver.createCompilation()
driver.reportCompilation(compilation, True)
driver.runAnalysis(compilation)
driver.reportDiagnostics(True)
"""
"""Program that prints slang's report; slang writes to the process's error output."""


def _report(command: list[str], environment: dict[str, str] | None = None) -> str:
    """Run a command; return all that it prints, and its exit code if that is not 0."""
    done = subprocess.run(
        command,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.stdout + (f"exit code {done.returncode}\n" if done.returncode else "")


def verilator(sources: Sequence[Path]) -> str:
    """Return what Verilator reports, with the waivers that lie beside the Verilog."""
    tool = find_verilator()
    waivers = sources[0].with_suffix(".vlt")
    options = ["--lint-only", "--quiet", "-Wall", "--top-module", TOP]
    return _report([tool.command, *options, str(waivers), *map(str, sources)], tool.environment)


def icarus(sources: Sequence[Path]) -> str:
    """Return what Icarus reports; it asks for a timescale, which only delays need."""
    with tempfile.TemporaryDirectory() as folder:
        output = str(Path(folder) / "out")
        command = [find_icarus().command, "-Wall", "-g2005", "-s", TOP, "-o", output]
        text = _report([*command, *map(str, sources)])
    return re.sub(r"^.*timescale.*\n", "", text, flags=re.M)


def slang(sources: Sequence[Path]) -> str:
    """Return what slang reports, but for ``SLANG_WAIVERS``."""
    if find_spec("pyslang") is None:
        raise BadInput("slang is not installed: pip install 'implicore[check]'.")
    options = ["-Weverything", *(f"-Wno-{rule}" for rule in SLANG_WAIVERS), "--std", "1364-2005"]
    files = [f'"{source}"' for source in sources]
    command = " ".join(["slang", *options, "--top", TOP, *files])
    return _report([sys.executable, "-c", SLANG, command])


def check(sources: Sequence[Path]) -> str:
    """Return what the ``check`` of Yosys reports: loops, undriven wires, several drivers."""
    files = " ".join(f'"{source}"' for source in sources)
    checked = "proc\ncheck -assert\nmemory -nomap\ncheck -assert\n"  # memory removes unused logic
    script = f"read_verilog {files}\nhierarchy -check -top {TOP}\n{checked}"
    with tempfile.TemporaryDirectory() as folder:
        try:
            yosys.yosys(script, Path(folder))
        except ToolFailed as error:
            return f"{error}\n"
        log = (Path(folder) / "yosys.log").read_text(encoding="utf-8")
    return "".join(f"{line}\n" for line in log.splitlines() if line.startswith("Warning"))


LINTERS = {"Verilator": verilator, "Icarus": icarus, "slang": slang, "Yosys": check}
"""Each returns the report on the Verilog's files as text: empty if there is nothing to report."""
