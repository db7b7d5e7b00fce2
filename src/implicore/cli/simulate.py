"""``implicore simulate``: run a program on simulated hardware and check every voxel."""

from __future__ import annotations

import argparse

from .console import say
from .options import add_accelerator, add_grid, add_output_file, add_seed, chosen_grid
from .requirements import require

HELP = "run a program on simulated hardware and compare it with the golden model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("program", metavar="PROGRAM", help="program file (.inr)")
    add_accelerator(parser)
    parser.add_argument(
        "--simulator",
        choices=("icarus", "verilator", "fast"),
        default="fast",
        help="icarus and verilator run the cocotb testbench; fast is a compiled simulator of the "
        "same Verilog (default: %(default)s)",
    )
    add_grid(parser, "the middle axial plane; icarus and verilator: a few points")
    parser.add_argument(
        "--points",
        type=int,
        metavar="N",
        help="decode N random points of the grid as a list instead",
    )
    parser.add_argument(
        "--stall",
        type=float,
        default=0.0,
        metavar="P",
        help="probability that a stream stalls in a cycle, below 1 (default: %(default)g)",
    )
    add_seed(parser, "seed of the points and the stalls")
    add_output_file(
        parser,
        "PNG",
        "picture of one plane: image, golden model, hardware, differences",
        required=False,
    )
    parser.add_argument(
        "--image", metavar="IMAGE", help="source image, shown in the pictures for comparison"
    )
    parser.add_argument(
        "--pictures", metavar="DIR", help="folder for the same pictures as separate PNG files"
    )
    parser.add_argument(
        "--timeline",
        metavar="FILE.csv",
        help="file for the array's activity over time, read from the hardware counters",
    )
    parser.add_argument(
        "--waves", metavar="FILE.vcd", help="file for the waveform of the first cycles"
    )


def run(options: argparse.Namespace) -> tuple[int, dict]:
    """Simulate, compare and report; the exit code is 1 if anything differs."""
    from ..config_file import read_config
    from ..program import Program

    program = Program.load(options.program)
    config = read_config(options.config, options.set)
    config.check_fits(program)
    given = options.plane or options.grid or options.scale != 1
    grid = chosen_grid(program.grid, options) if given else None
    require("simulate", "sim", "amaranth")
    from ..sim.simulation import simulate

    image = None
    if options.image:
        from ..model.volume import load_volume

        image = load_volume(options.image)
    metrics = simulate(
        program,
        config,
        simulator=options.simulator,
        grid=grid,
        points=options.points,
        stall=options.stall,
        seed=options.seed,
        image=image,
        picture=options.output,
        pictures=options.pictures,
        timeline=options.timeline,
        waves=options.waves,
    )
    status = "all equal to the golden model's"
    if not metrics["agrees"]:
        status = f"{metrics['mismatches']} differ from the golden model's"
    expected = "predicted without stalls" if options.stall else "predicted"
    say(
        options,
        f"{metrics['voxels']} voxels, {status}\n"
        f"  {metrics['cycles']} cycles ({expected} {metrics['predicted_cycles']}), "
        f"{100 * metrics['utilization']:.2f} % of the MAC slots used\n"
        f"  {metrics['cycles_per_second'] / 1e3:.0f} k cycles per second under "
        f"{options.simulator}",
    )
    for complaint in metrics["complaints"]:
        say(options, f"  {complaint}")
    return 0 if metrics["agrees"] else 1, metrics
