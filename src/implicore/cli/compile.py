"""``implicore compile``: turn a trained network into an integer program."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from functools import partial

from ..errors import BadInput
from ..formats import Formats
from .console import progress_bar, say
from .options import add_output_file
from .requirements import require

HELP = "turn a trained network into an integer program"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", metavar="MODEL", help="model file written by fit")
    add_output_file(parser, "PROGRAM", "program file (.inr) to write")
    parser.add_argument(
        "--formats",
        type=_formats,
        default="w8a12",
        metavar="NAME",
        help="bits of weights and activations, as in w8a12, optionally followed by m multiplier, "
        "t table address, c accumulator, o output bits, as in w8a12m8t10 (default: %(default)s)",
    )
    parser.add_argument(
        "--finetune",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="time for quantization-aware training of the weights (default: none)",
    )
    parser.add_argument(
        "--image",
        action="append",
        metavar="IMAGE",
        help="the image that the model was trained on, if it has been moved; repeat the option for "
        "a model of several images",
    )


def run(options: argparse.Namespace) -> tuple[int, dict]:
    """Compile a model and save the program."""
    if not (0 <= options.finetune < float("inf")):
        raise BadInput(f"--finetune must be at least 0 seconds, not {options.finetune:g}.")
    from ..model.checkpoint import Model
    from ..model.compiler import compile_model, training_images

    model = Model.load(options.model)
    volumes = training_images(model, options.image)
    tune = None
    if options.finetune:
        require("compile --finetune", "train", "torch")
        from ..model.finetune import tuned

        tune = partial(tuned, options.formats, seconds=options.finetune, quiet=options.quiet)
    with ExitStack() as stack:

        def progress(total):
            return stack.enter_context(progress_bar(options, total, "evaluating")).update

        compiled = compile_model(model, options.formats, volumes, tune=tune, progress=progress)
    compiled.program.save(options.output)
    metrics = compiled.metrics
    say(
        options,
        f"{options.output}: {metrics['formats']}, {metrics['bytes']} bytes, "
        f"{metrics['bits_per_voxel']:.3f} bits per voxel\n"
        f"  {metrics['psnr_db']:.2f} dB, {metrics['loss_db']:.3f} dB below the trained network's "
        f"{metrics['psnr_float_db']:.2f} dB; loss by source:",
    )
    for stage, loss in metrics["losses_db"].items():
        say(options, f"    {stage:12} {loss:7.3f} dB")
    say(
        options,
        f"  accumulators need {metrics['accumulator_bits']} bits (proven from the weights) "
        f"and have {compiled.program.formats.accumulator_bits}",
    )
    return 0, metrics


def _formats(text: str) -> Formats:
    try:
        return Formats.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
