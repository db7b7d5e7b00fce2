"""``implicore fit``: train a network on an image."""

from __future__ import annotations

import argparse
from dataclasses import replace
from math import prod
from pathlib import Path

from ..errors import BadInput
from ..network_shape import NETWORKS, PRESET_PATCHES, NetworkShape
from .console import say
from .options import add_output_file, add_seed
from .requirements import require

HELP = "train a network on an image"
SECONDS = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "images",
        nargs="*",
        metavar="IMAGE",
        help="NIfTI file (.nii, .nii.gz) or folder with one DICOM series; several images of one "
        "subject are fitted jointly (default: the bundled T1 MRI)",
    )
    add_output_file(parser, "MODEL", "model file to write")
    parser.add_argument(
        "--preset",
        choices=NETWORKS,
        default="demo",
        help="size of the network: %(choices)s (default: %(default)s)",
    )
    for name, text in (
        ("depth", "number of fully connected layers"),
        ("width", "neurons of a hidden layer"),
        ("frequencies", "number of Fourier frequencies"),
    ):
        parser.add_argument(
            f"--{name}", type=int, metavar="N", help=f"{text} (default: the preset's)"
        )
    parser.add_argument(
        "--skips",
        type=_skips,
        metavar="A,B",
        help="layers, counted from 1, that also take the Fourier features; 'none' for no layer "
        "(default: the preset's)",
    )
    parser.add_argument(
        "--patch",
        metavar="XxYxZ",
        help="block of voxels that one pass of the network decodes, for example 4x4x4; 1x1x1 for "
        "a single voxel (default: the preset's)",
    )
    parser.add_argument(
        "--crop", metavar="X0:X1,Y0:Y1,Z0:Z1", help="fit only this range of voxel indices"
    )
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument(
        "--seconds", type=float, metavar="N", help=f"training time (default: {SECONDS:g})"
    )
    budget.add_argument(
        "--steps", type=int, metavar="N", help="number of training steps, instead of a time"
    )
    parser.add_argument(
        "--sigma",
        type=float,
        metavar="S",
        help="standard deviation of the frequencies, in turns per half of the longest axis "
        "(default: chosen by a short search)",
    )
    parser.add_argument(
        "--profile",
        choices=("point", "slice"),
        default="point",
        help="what a voxel of a thick slice measures: the image at its centre, or the mean over "
        "the slice's thickness (default: %(default)s)",
    )
    add_seed(parser, "seed of the frequencies, the weights and the sampling")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: %(default)s)")
    parser.add_argument("--resume", action="store_true", help="continue an interrupted run")


def run(options: argparse.Namespace) -> tuple[int, dict]:
    """Train and save a model."""
    require("fit", "train", "torch")
    from ..model.train import fit
    from ..model.volume import load_source
    from ..patch import POINT, parse_patch

    if options.patch is None:
        patch = PRESET_PATCHES.get(options.preset, POINT)
    else:
        patch = parse_patch(options.patch)
    shape = _shape(options, outputs=prod(patch))
    paths: list[str | None] = [str(Path(path).resolve()) for path in options.images]
    crop = {"crop": options.crop} if options.crop else {}
    sources = [{"path": path, **crop} for path in paths or [None]]  # None: the bundled MRI
    model = fit(
        [load_source(source) for source in sources],
        shape,
        patch=patch,
        seconds=SECONDS if options.seconds is None and options.steps is None else options.seconds,
        steps=options.steps,
        sigma=options.sigma,
        seed=options.seed,
        device=options.device,
        profile=options.profile,
        output=options.output,
        resume=options.resume,
        sources=sources,
        quiet=options.quiet,
    )
    metrics = model.metrics
    say(
        options,
        f"{options.output}: {metrics['psnr_db']:.2f} dB, SSIM {metrics['ssim']:.4f}, "
        f"{metrics['parameters']} parameters, {metrics['steps']} steps in "
        f"{metrics['seconds']:.0f} s, sigma {metrics['sigma']:.2f}",
    )
    return 0, metrics


def _shape(options: argparse.Namespace, outputs: int) -> NetworkShape:
    changes = {
        name: getattr(options, name)
        for name in ("depth", "width", "frequencies", "skips")
        if getattr(options, name) is not None
    }
    try:
        return replace(NETWORKS[options.preset], outputs=outputs, **changes)
    except (TypeError, ValueError) as error:
        raise BadInput(str(error)) from None


def _skips(text: str) -> tuple[int, ...]:
    if text == "none":
        return ()
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"it must be 'none' or layer numbers like 6,11, not {text!r}"
        ) from None
