"""Quantization loss: the drop in PSNR from a trained network to its program, by format.

A model file (``implicore fit``) is compiled to each format, with and without tuning, and the loss
is attributed to its sources. ``python bench/losses.py --help`` lists the options.
"""

from __future__ import annotations

import time

from harness import Table, parser, run

from implicore.formats import Formats
from implicore.model.bundled import bundled_mri
from implicore.model.checkpoint import Model
from implicore.model.compiler import compile_model
from implicore.model.finetune import finetune
from implicore.model.quantize import STAGES
from implicore.model.volume import load_volume

TARGETS = {("w8a12", 0.0): 0.15, ("w8a8", 30.0): 0.5, ("w16a16", 0.0): 0.01}
"""Goals in dB by (formats, seconds of tuning). Without options, these are the runs."""

COLUMNS = {
    "formats": ("formats", "<9"),
    "finetune_cpu_seconds": ("tuned s", ".0f"),
    "psnr_float_db": ("float dB", ".2f"),
    "psnr_db": ("dB", "6.2f"),
    "loss_db": ("loss dB", ".3f"),
    "target_db": ("target dB", ".2f"),
    **{stage: (stage, "6.3f") for stage in STAGES},
}


def main() -> int:
    """Compile, print a table, and return 1 if a goal was missed."""
    arguments = parser(__doc__)
    arguments.add_argument("model", help="model file that fit wrote")
    arguments.add_argument("image", nargs="?", help="the model's image (default: the bundled MRI)")
    arguments.add_argument("--formats", action="append", help="such as w8a12; may be repeated")
    arguments.add_argument("--finetune", type=float, help="cpu-seconds of tuning")
    options = arguments.parse_args()
    model, volume = Model.load(options.model), load_volume(options.image or bundled_mri())
    runs = list(TARGETS)
    if options.formats or options.finetune is not None:
        names = options.formats or [name for name, _ in TARGETS]
        runs = [(name, options.finetune or 0.0) for name in names]
    table = Table(COLUMNS)
    for name, seconds in runs:
        formats, target = Formats.parse(name), TARGETS.get((name, seconds))

        def tune(rounded, scales, voxels, formats=formats, seconds=seconds):
            samples = voxels.coordinates, voxels.targets
            return finetune(
                rounded, formats, scales, *samples, seconds=seconds, clock=time.process_time
            )

        compiled = compile_model(model, formats, [volume], tune=tune if seconds else None)
        row = {
            "formats": name,
            "finetune_cpu_seconds": seconds,
            "psnr_float_db": compiled.psnr_float_db,
            "psnr_db": compiled.psnr_db,
            "loss_db": compiled.loss_db,
            "target_db": target,
            **compiled.losses_db,
        }
        table.add(row, missed=target is not None and compiled.loss_db > target)
    return table.end(options.json)


if __name__ == "__main__":
    run(main)
