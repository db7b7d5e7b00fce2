"""``implicore generate``: write an accelerator as Verilog."""

from __future__ import annotations

import argparse

from ..errors import BadInput
from .console import say
from .options import add_accelerator, add_output_folder
from .requirements import require

HELP = "write an accelerator as Verilog"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_output_folder(parser, "folder to write; created if it does not exist")
    add_accelerator(parser)
    parser.add_argument(
        "--memories",
        choices=("inferred", "blackbox"),
        default="inferred",
        help="memories as Verilog arrays, or as empty modules to be replaced by SRAM macros "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--tests",
        action="store_true",
        help="also write tests that need cocotb but not implicore: python DIR/tests/run.py",
    )
    parser.add_argument(
        "--program",
        metavar="PROGRAM",
        help="program that the tests decode (default: one with random weights)",
    )


def run(options: argparse.Namespace) -> tuple[int, dict]:
    """Write the Verilog, its sidecar files and, on request, its tests."""
    from time import perf_counter

    from ..atomic import make_folder
    from ..config_file import read_config
    from ..program import Program

    config = read_config(options.config, options.set)
    program = None
    if options.program:
        if not options.tests:
            raise BadInput("--program chooses the program that the tests decode: add --tests.")
        program = Program.load(options.program)
        config.check_fits(program)
    require("generate", "hw", "amaranth")
    from ..hw.verilog import generate
    from ..sim.bundle import write_tests

    folder = make_folder(options.folder)
    started = perf_counter()
    try:
        metrics = generate(config, folder, memories=options.memories)
        if options.tests:
            metrics["files"] += write_tests(folder, config, program)
    except OSError as error:
        raise BadInput(f"{folder} cannot be written: {error.strerror}.") from None
    metrics["seconds"] = perf_counter() - started
    say(
        options,
        f"{folder}: {config.rows} x {config.columns} processing elements, {config.formats}, "
        f"{metrics['modules']} modules, {metrics['bytes']} bytes of Verilog in "
        f"{metrics['seconds']:.1f} s\n  {', '.join(metrics['files'])}",
    )
    return 0, metrics
