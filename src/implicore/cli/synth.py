"""``implicore synth``: measure area, clock and energy of an accelerator."""

from __future__ import annotations

import argparse

from ..errors import BadInput
from .console import say
from .options import add_accelerator, add_output_folder
from .requirements import require

HELP = "measure area, clock and energy of an accelerator"
MAX_CLOCK_MHZ = 100_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_output_folder(parser, "folder for reports and netlists; created if it does not exist")
    add_accelerator(parser)
    parser.add_argument(
        "--target",
        default="osu018",
        metavar="NAME|FILE.toml",
        help="osu018 and ihp-sg13g2 (standard cells), ecp5 (an FPGA board), generic (gates "
        "without a library), or the description of another cell library (default: %(default)s)",
    )
    parser.add_argument(
        "--program",
        metavar="PROGRAM",
        help="program (.inr) to decode at gate level to measure the energy (default: none, no "
        "energy)",
    )
    parser.add_argument(
        "--clock-mhz",
        type=float,
        metavar="MHZ",
        help="clock to synthesize for (default: the fastest of a processing element; ecp5: 100)",
    )
    parser.add_argument(
        "--scan",
        action="store_true",
        help="use clock gates with a test enable: the netlist has the input test_enable",
    )


def run(options: argparse.Namespace) -> tuple[int, dict]:
    """Synthesize and write the reports."""
    from ..config_file import read_config
    from ..program import Program

    config = read_config(options.config, options.set)
    require("synth", "synth", "pyosys")
    if options.clock_mhz is not None and not 0 < options.clock_mhz < MAX_CLOCK_MHZ:
        raise BadInput(
            f"--clock-mhz must be above 0 and below {MAX_CLOCK_MHZ}, not {options.clock_mhz:g}."
        )
    program = Program.load(options.program) if options.program else None
    if program is not None:
        config.check_fits(program)
    from ..synth.synthesis import synthesize

    metrics = synthesize(
        config,
        options.target,
        options.folder,
        clock_mhz=options.clock_mhz,
        program=program,
        scan=options.scan,
        report=lambda line: say(options, line),
    )
    return 0, metrics
