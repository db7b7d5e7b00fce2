"""The compiled simulator: the Verilog translated by Verilator, with a driver in C++.

It runs a whole session in one process without Python, which makes it fast enough for whole images;
``bench/simulators.py`` compares the simulators.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from implicore.accelerator_config import AcceleratorConfig
from implicore.process import run

from . import session
from .simulators import compiled, verilog

DRIVER = Path(__file__).with_name("fast.cpp")

HIERARCHICAL_FROM = 1024
"""Number of PEs from which each row is compiled separately: a flat model builds too slowly."""

ROWS = '`verilator_config\nhier_block -module "implicore_array_row"\n'


@dataclass(frozen=True)
class FastSimulator:
    """A compiled simulator of an accelerator.

    Attributes
    ----------
    executable : Path
    """

    executable: Path

    def run(
        self,
        operations: Sequence,
        *,
        stall: float = 0.0,
        seed: int = 0,
        waves: Path | None = None,
        coverage: Path | None = None,
    ) -> session.Responses:
        """Run a session and return the responses.

        Parameters
        ----------
        operations : sequence of the operations in ``session``
        stall : float
            Probability of a stall of each stream in each cycle.
        seed : int
            Seed of the stalls.
        waves : Path, optional
            VCD file to write; the simulator must have been built with ``waves``.
        coverage : Path, optional
            Coverage file to write; the simulator must have been built with ``coverage``.

        Raises
        ------
        ToolFailed
            The accelerator violates the protocol of a port.
        """
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            words, responses = folder / "session", folder / "responses"
            session.encode(operations, stall, seed).astype("<u4").tofile(words)
            extra = [path.resolve() for path in (waves, coverage) if path]
            run([self.executable, words, responses, *extra], folder)
            return session.decode(np.fromfile(responses, "<u4"), operations)


def build(
    config: AcceleratorConfig,
    *,
    sources: Sequence[Path] | None = None,
    optimize: bool = True,
    waves: bool = False,
    coverage: bool = False,
) -> FastSimulator:
    """Return the compiled simulator of a configuration, from the cache if it is there.

    Parameters
    ----------
    config : AcceleratorConfig
    sources : sequence of Path, optional
        Verilog files to use instead of the generated ones.
    optimize : bool
        Optimize for long simulations. Without it, the build is faster and the simulator several
        times slower.
    waves : bool
        Build a simulator that can write waveforms.
    coverage : bool
        Build a simulator that can write the coverage of lines, branches, bits and ``cover``
        statements. A simulator has waveforms or coverage, not both.
    """
    options = ["--x-assign", "fast", "--x-initial", "fast"]
    if waves:
        options.append("--trace-vcd")
    if coverage:
        options += ["--coverage-line", "--coverage-toggle", "--coverage-user"]
    else:
        options.append("--noassert")  # `cover` statements are assertions
    texts = {}
    if config.rows * config.columns >= HIERARCHICAL_FROM and not (waves or coverage):
        options.append("--hierarchical")
        texts["rows.vlt"] = ROWS
    files = [*(sources or verilog(config)), DRIVER]
    executable = compiled(
        "fast", "implicore", files, options=options, texts=texts, optimize=optimize
    )
    return FastSimulator(executable)
