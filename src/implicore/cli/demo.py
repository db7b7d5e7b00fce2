"""``implicore demo``: run the whole flow on the bundled MRI."""

from __future__ import annotations

import argparse

from .options import add_output_folder

HELP = "run the whole flow on the bundled MRI and write a report page (takes minutes)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_output_folder(
        parser, "folder to write; steps that an earlier run completed there are skipped"
    )


def run(options: argparse.Namespace) -> tuple[int, dict]:
    """Run every step as a separate subcommand."""
    from ..demo import demo
    from . import execute, make_parser

    def subcommand(arguments: list[str]) -> tuple[int, dict]:
        return execute(make_parser().parse_args(arguments))

    return demo(options.folder, subcommand, quiet=options.quiet)
