"""``implicore sweep``: predict many accelerators, synthesize the best, choose one."""

from __future__ import annotations

import argparse

from ..errors import BadInput
from .console import plain, progress_bar, say
from .options import add_output_folder
from .requirements import require

HELP = "predict many accelerators, synthesize the best, choose one"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "spec",
        nargs="?",
        metavar="SPEC.toml",
        help="grid of designs, constraints and objectives; see docs/exploration.md",
    )
    add_output_folder(
        parser,
        "folder for results.parquet, results.csv and report.html; with --best, the folder that "
        "holds them",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="running Dask scheduler, as in tcp://host:8786 (default: workers on this machine)",
    )
    parser.add_argument("--resume", action="store_true", help="continue an interrupted sweep")
    parser.add_argument(
        "--best",
        metavar="METRIC",
        help="do not sweep: name the design in DIR with the best value of this metric, as in "
        "nj_per_voxel, and write DIR/best.toml for generate --config",
    )
    parser.add_argument(
        "--where",
        metavar="CONDITION",
        help='condition for --best, as in "psnr_db > 38 and area_um2 < 4e6"',
    )


def run(options: argparse.Namespace) -> tuple[int, dict]:
    """Run a sweep, or choose a design from an earlier sweep."""
    if (options.spec is None) == (options.best is None):
        raise BadInput("Give either SPEC.toml to sweep or --best METRIC to choose a design.")
    if options.where and not options.best:
        raise BadInput("--where needs --best; for a sweep, put the condition into [constraints].")
    require(
        "sweep",
        "sweep",
        *("pyosys", "distributed", "pandas", "pyarrow", "moocore", "plotly", "matplotlib"),
    )
    return _choose(options) if options.best else _sweep(options)


def _choose(options: argparse.Namespace) -> tuple[int, dict]:
    from ..synth.explore.results import read
    from ..synth.explore.selection import write_best

    design = write_best(options.folder, read(options.folder), options.best, options.where)
    if design is None:
        say(options, "No design meets the condition.")
        return 1, {"point": None}
    say(
        options,
        f"{design['point']}: {options.best} {plain(design[options.best])}, {design['source']}\n"
        f"  {design['config']}: pass it to generate --config\n  {design['command']}",
    )
    return 0, design


def _sweep(options: argparse.Namespace) -> tuple[int, dict]:
    import signal

    from ..synth.explore.spec import read_spec
    from ..synth.explore.sweep import sweep
    from ..synth.report.sweep import sweep_page

    # A batch system ends a job with SIGTERM. Treated like an interrupt, it keeps the results so
    # far.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    metrics = sweep(
        read_spec(options.spec),
        options.folder,
        bar=lambda total, text: progress_bar(options, total, text, "point"),
        scheduler=options.scheduler,
        resume=options.resume,
        report=lambda line: say(options, line),
    )
    page = sweep_page(options.folder)
    say(
        options,
        f"{metrics['points']} points, {metrics['failed']} failed, {metrics['synthesized']} "
        f"synthesized, {len(metrics['pareto'])} on the Pareto front, in "
        f"{metrics['seconds']:.1f} s\n  {page}",
    )
    return 0, metrics
