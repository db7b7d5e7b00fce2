"""``implicore report``: write the report page of a sweep or a demo."""

from __future__ import annotations

import argparse

from .console import say
from .requirements import require

HELP = "write the report page of a sweep or a demo"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("folder", metavar="DIR", help="folder written by sweep or demo")


def run(options: argparse.Namespace) -> tuple[int, dict]:
    """Write ``report.html`` into the folder."""
    require(
        "report",
        "sweep",
        *("pandas", "pyarrow", "moocore", "plotly", "matplotlib", "jinja2"),
    )
    from ..synth.report.write import write_report

    page = write_report(options.folder)
    say(options, f"{page}")
    return 0, {"page": str(page)}
