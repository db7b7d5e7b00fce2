"""``implicore inspect``: describe a model or program file."""

from __future__ import annotations

import argparse

from .console import plain, say

HELP = "describe a model or program file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("file", metavar="FILE", help="model or program file")


def run(options: argparse.Namespace) -> tuple[int, dict]:
    """Print the description, one name and value per line."""
    from ..model.description import describe

    description = describe(options.file)
    width = max(map(len, description))
    for name, value in description.items():
        say(options, f"{name.replace('_', ' '):{width}}  {plain(value)}")
    return 0, description
