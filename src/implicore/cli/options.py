"""Options that several subcommands share."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..errors import BadInput

if TYPE_CHECKING:
    from ..grid import Grid


def add_output_file(
    parser: argparse.ArgumentParser, metavar: str, text: str, *, required: bool = True
) -> None:
    """Add ``-o FILE``, stored as ``output``; ``main`` checks early that it can be written."""
    parser.add_argument("-o", "--output", required=required, metavar=metavar, help=text)


def add_output_folder(parser: argparse.ArgumentParser, text: str) -> None:
    """Add ``-o DIR``, stored as ``folder``."""
    parser.add_argument("-o", "--output", dest="folder", required=True, metavar="DIR", help=text)


def add_seed(parser: argparse.ArgumentParser, text: str) -> None:
    """Add ``--seed N``."""
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help=f"{text} (default: %(default)s)"
    )


def add_accelerator(parser: argparse.ArgumentParser) -> None:
    """Add ``--config`` and ``--set``, which choose an accelerator configuration."""
    parser.add_argument(
        "--config",
        default="medium",
        metavar="PRESET|FILE.toml",
        help="accelerator: tiny, small, medium, large, patch, paper, or a TOML file "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--set",
        action="append",
        metavar="FIELD=VALUE",
        help="change one field of the configuration, as in rows=16; networks=demo,fast sizes the "
        "memories for these networks; repeatable",
    )


def add_grid(parser: argparse.ArgumentParser, default: str) -> None:
    """Add ``--plane``, ``--grid`` and ``--scale``, which ``chosen_grid`` evaluates.

    ``default`` names what is decoded without these options, for the help.
    """
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--plane",
        metavar="NAME:MM",
        help="decode one plane (sagittal, coronal, axial) at a position in mm, as in axial:12.5 "
        f"(default: {default})",
    )
    group.add_argument(
        "--grid",
        metavar="FILE.json",
        help="decode an affine grid, which may be oblique: "
        '{"shape": [X, Y, Z], "affine": 4 x 4 matrix from index to RAS mm}',
    )
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        metavar="K",
        help="samples along each axis relative to the source image, any positive number "
        "(default: %(default)g)",
    )


def chosen_grid(source: Grid, options: argparse.Namespace) -> Grid:
    """Return the grid that ``--plane``, ``--grid`` and ``--scale`` select from a source grid."""
    from ..grid import Grid

    if options.plane:
        name, _, position = options.plane.partition(":")
        try:
            millimetres = float(position)
        except ValueError:
            raise BadInput(
                f"--plane must be a name and a position like axial:12.5, not {options.plane!r}."
            ) from None
        return source.plane(name, millimetres, options.scale)
    return (Grid.load(options.grid) if options.grid else source).scaled(options.scale)
