"""``implicore render``: decode a program with the golden model."""

from __future__ import annotations

import argparse

from .console import progress_bar, say
from .options import add_grid, add_output_file, chosen_grid

HELP = "decode a program with the golden model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("program", metavar="PROGRAM", help="program file (.inr)")
    add_output_file(parser, "OUT", "NIfTI volume (.nii, .nii.gz) to write, or PNG of one plane")
    add_grid(parser, "every voxel of the source image")
    parser.add_argument(
        "--image", metavar="IMAGE", help="source image to compare the result with, voxel by voxel"
    )


def run(options: argparse.Namespace) -> tuple[int, dict]:
    """Decode a grid and save it as a volume or a picture."""
    from ..model.rendering import check_output, render
    from ..model.volume import load_volume
    from ..program import Program

    program = Program.load(options.program)
    grid = chosen_grid(program.grid, options)
    check_output(options.output, grid)
    image = load_volume(options.image) if options.image else None
    with progress_bar(options, grid.voxels, "rendering") as bar:
        rendering = render(program, grid, image=image, advance=bar.update)
    rendering.save(options.output)
    metrics = rendering.metrics
    text = (
        f"{options.output}: {' x '.join(map(str, grid.shape))} voxels in {rendering.seconds:.1f} s"
    )
    if image is not None:
        text += f", {metrics['psnr_db']:.2f} dB, SSIM {metrics['ssim']:.4f}"
    say(options, text)
    return 0, metrics
