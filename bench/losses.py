"""What integers cost: the fall of the PSNR from a trained network to its program, by format.

Takes a model file and the image it was trained on (``implicore fit``), compiles it to each format,
untuned and after some cpu-seconds of tuning, and says which source the loss comes from. Run
``python bench/losses.py --help`` for the options.
"""

from __future__ import annotations

import argparse
import sys
import time

from threadpoolctl import threadpool_limits

from implicore.atomic import write_json
from implicore.config import Formats
from implicore.errors import BadInput
from implicore.model.bundled import bundled_mri
from implicore.model.checkpoint import Model
from implicore.model.compiler import compile_model
from implicore.model.finetune import finetune
from implicore.model.quantize import STAGES
from implicore.model.volume import load_volume

TARGETS = {("w8a12", 0.0): 0.15, ("w8a8", 30.0): 0.5, ("w16a16", 0.0): 0.01}
"""Decibels asked of (formats, seconds of tuning); what runs without options."""


def main() -> int:
    """Compile, print a table, and return 1 if a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="model file that fit wrote")
    parser.add_argument("image", nargs="?", help="its image; the bundled MRI if none is given")
    parser.add_argument("--formats", action="append", help="such as w8a12; may be repeated")
    parser.add_argument("--finetune", type=float, help="cpu-seconds of tuning")
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    model, volume = Model.load(options.model), load_volume(options.image or bundled_mri())
    runs = list(TARGETS)
    if options.formats or options.finetune is not None:
        names = options.formats or [name for name, _ in TARGETS]
        runs = [(name, options.finetune or 0.0) for name in names]
    print(f"formats    tuned  float dB       dB  loss dB  asked    {'  '.join(STAGES)}")
    rows = []
    for name, seconds in runs:
        formats = Formats.parse(name)

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
            "asked_db": TARGETS.get((name, seconds)),
            "losses_db": compiled.losses_db,
        }
        rows.append(row)
        by_stage = "  ".join(f"{loss:{len(s)}.3f}" for s, loss in compiled.losses_db.items())
        print(
            f"{name:10} {seconds:4.0f} s  {row['psnr_float_db']:8.2f} {row['psnr_db']:8.2f}  "
            f"{row['loss_db']:7.3f}  {row['asked_db'] or '':5}    {by_stage}",
            flush=True,
        )
    if options.json:
        write_json(options.json, {"runs": rows})
    return int(any(row["asked_db"] and row["loss_db"] > row["asked_db"] for row in rows))


if __name__ == "__main__":
    try:
        with threadpool_limits(1):
            sys.exit(main())
    except (BadInput, ValueError) as error:
        print(f"losses.py: {error}", file=sys.stderr)
        sys.exit(2)
