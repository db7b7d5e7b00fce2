"""Benches in Python, run by cocotb with Icarus or Verilator."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from implicore.accelerator_config import AcceleratorConfig
from implicore.cache import cached
from implicore.errors import BadInput
from implicore.process import LOG_LINES, Tool, ToolFailed, log_lines

from . import session
from .simulators import find_icarus, find_verilator, verilog

BENCH = "implicore.sim.accelerator_bench"
VERILATOR_OPTIONS = ["-Wno-fatal", "-Wno-lint", "--noassert"]


@dataclass(frozen=True)
class CocotbSimulator:
    """A compiled design on which cocotb benches run.

    Attributes
    ----------
    name : str
        ``icarus`` or ``verilator``.
    toplevel : str
    folder : Path
        Folder of the build.
    """

    name: Literal["icarus", "verilator"]
    toplevel: str
    folder: Path

    def run(
        self,
        operations: Sequence,
        *,
        stall: float = 0.0,
        seed: int = 0,
        expected: np.ndarray | None = None,
    ) -> session.Responses:
        """Run a session, see ``fast.FastSimulator.run``; ToolFailed if the bench fails.

        With ``expected``, the bench compares each word of the responses as it arrives.
        """
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            files = {"session": session.encode(operations, stall, seed), "expected": expected}
            environment = {"IMPLICORE_RESPONSES": str(folder / "responses")}
            for file, words in files.items():
                if words is not None:
                    words.astype("<u4").tofile(folder / file)
                    environment[f"IMPLICORE_{file.upper()}"] = str(folder / file)
            self.bench([BENCH], seed=seed, environment=environment)
            return session.decode(np.fromfile(folder / "responses", "<u4"), operations)

    def bench(
        self,
        modules: Sequence[str],
        *,
        only: str | None = None,
        seed: int = 0,
        environment: dict | None = None,
    ) -> int:
        """Run the cocotb tests of modules and return their number; ToolFailed if one fails.

        With ``only``, run only the tests of this name.
        """
        from cocotb_tools.runner import get_results

        runner, tool = _runner(self.name)
        with tempfile.TemporaryDirectory() as name, tool.activated():
            folder = Path(name)
            results, log = folder / "results.xml", folder / "log"
            failed, tests = 1, 0
            try:
                runner.test(
                    test_module=modules,
                    test_filter=rf"\.{only}$" if only else None,
                    hdl_toplevel=self.toplevel,
                    hdl_toplevel_lang="verilog",
                    build_dir=self.folder,
                    test_dir=folder,
                    results_xml=str(results),
                    seed=seed,
                    extra_env={
                        "COCOTB_ANSI_OUTPUT": "0",
                        "LD_LIBRARY_PATH": _library_path(),
                        **(environment or {}),
                    },
                    log_file=log,
                )
                tests, failed = get_results(results)
            except (SystemExit, RuntimeError):
                pass  # the error below quotes the log
            if failed or not tests:
                lines = log_lines(log)
                errors = [line.strip() for line in lines if "Error" in line]
                raise ToolFailed(
                    "\n".join(
                        [f"{', '.join(modules)} failed with {self.name}, seed {seed}:"]
                        + (errors[:LOG_LINES] or lines[-LOG_LINES:])
                    )
                )
            return tests


def build(
    config: AcceleratorConfig,
    simulator: Literal["icarus", "verilator"],
    *,
    sources: Sequence[Path] | None = None,
    toplevel: str = "implicore",
    optimize: bool = True,
) -> CocotbSimulator:
    """Return the simulator of a configuration or of other Verilog, from the cache if it is there.

    Parameters
    ----------
    config : AcceleratorConfig
    simulator : str
    sources : sequence of Path, optional
        Verilog files to use instead of the generated ones.
    toplevel : str
        The module to simulate.
    optimize : bool
        Optimize for long simulations. Without it, Verilator's C++ compiles faster and runs slower.
    """
    sources = list(sources or verilog(config))
    runner, tool = _runner(simulator)
    import cocotb

    options = []
    if simulator == "verilator":
        options = [*VERILATOR_OPTIONS, *([] if optimize else ["-CFLAGS", "-O0"])]

    def make(folder: Path) -> None:
        log = folder / "build.log"
        with tool.activated():
            try:
                runner.build(
                    sources=sources,
                    hdl_toplevel=toplevel,
                    build_args=options,
                    build_dir=folder,
                    timescale=("1ns", "1ps"),
                    always=True,
                    log_file=log,
                )
            except (RuntimeError, SystemExit) as error:
                lines = [f"{simulator} failed: {error}", *log_lines(log)[-LOG_LINES:]]
                raise ToolFailed("\n".join(lines)) from None
        for path in folder.iterdir():
            if path.name not in (toplevel, "sim.vvp", "build.log") and path.is_file():
                path.unlink()

    inputs = [tool.version, cocotb.__version__, options, toplevel, sources]
    return CocotbSimulator(simulator, toplevel, cached(simulator, inputs, make))


def _library_path() -> str:
    """Return a library path with cocotb's libraries first.

    A Verilator executable contains their path at the time of the build. It may be in the cache from
    another environment, which may be gone.
    """
    from cocotb_tools.config import libs_dir

    return os.pathsep.join(filter(None, (str(libs_dir), os.environ.get("LD_LIBRARY_PATH"))))


def _runner(simulator: str) -> tuple[object, Tool]:
    """Return cocotb's runner and the simulator that it needs."""
    tool = find_icarus() if simulator == "icarus" else find_verilator()
    try:
        from cocotb_tools.runner import get_runner
    except ImportError:
        raise BadInput("cocotb is not installed: pip install 'implicore[sim]'.") from None
    # Show cocotb's messages but not those of its runner, which repeats each command on stderr.
    os.environ.setdefault("COCOTB_LOG_LEVEL", "INFO")
    runner = get_runner(simulator)
    runner.log.setLevel("ERROR")
    return runner, tool
