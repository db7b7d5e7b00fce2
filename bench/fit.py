"""How well networks are trained: PSNR within a budget of cpu-seconds of one thread.

The budget holds everything but reading the image and the final evaluation: the choice of sigma,
the Fourier features, the training. Run ``python bench/fit.py --help`` for the options.
"""

from __future__ import annotations

import argparse
import time
from itertools import product

from datasets import ch2, ch2_crop

from implicore.atomic import write_json
from implicore.config import NETWORKS
from implicore.model.bundled import bundled_mri
from implicore.model.train import fit
from implicore.model.volume import load_volume

VOLUMES = {"ch2": ch2_crop, "bundled": lambda: load_volume(bundled_mri()), "ch2-whole": ch2}

TARGETS = {
    ("ch2", "demo", 60.0): 39.0,
    ("ch2", "quality", 60.0): 43.5,
    ("ch2", "quality", 240.0): 47.5,
    ("bundled", "demo", 60.0): 39.0,
}
"""Decibels asked of (volume, preset, seconds); what runs without options."""


def main() -> int:
    """Train, print a table, and return 1 if a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--volume", action="append", choices=VOLUMES, help="may be repeated")
    parser.add_argument("--preset", action="append", choices=NETWORKS, help="may be repeated")
    parser.add_argument("--seconds", action="append", type=float, help="may be repeated")
    parser.add_argument("--sigma", type=float, help="chosen within the budget unless given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    runs = list(TARGETS)
    if options.volume or options.preset or options.seconds:
        runs = list(
            product(
                options.volume or ["ch2"], options.preset or ["demo"], options.seconds or [60.0]
            )
        )
    print(
        "volume     preset   cpu-s  target dB  PSNR dB    SSIM  sigma  steps  voxels/s  total cpu-s"
    )
    rows = []
    for name, preset, seconds in runs:
        volume = VOLUMES[name]()
        started = time.process_time()
        model = fit(
            [volume],
            NETWORKS[preset],
            seconds=seconds,
            sigma=options.sigma,
            seed=options.seed,
            device="cpu",
            quiet=True,
            clock=time.process_time,
        )
        total = time.process_time() - started
        row = {
            "volume": name,
            "preset": preset,
            "cpu_seconds": model.training["seconds"],
            "target_db": TARGETS.get((name, preset, seconds)),
            "psnr_db": model.training["psnr_db"],
            "ssim": model.training["ssim"],
            "sigma": model.sigma,
            "steps": model.training["steps"],
            "voxels_per_second": model.training["voxels_per_second"],
            "total_cpu_seconds": total,
        }
        rows.append(row)
        target = "" if row["target_db"] is None else f"{row['target_db']:.1f}"
        print(
            f"{name:9}  {preset:7}  {seconds:5.0f}  {target:>9}  {row['psnr_db']:7.2f}  "
            f"{row['ssim']:.4f}  {row['sigma']:5.2f}  {row['steps']:5}  "
            f"{row['voxels_per_second']:8.0f}  {total:11.1f}",
            flush=True,
        )
    if options.json:
        write_json(options.json, {"runs": rows})
    return int(any(row["target_db"] and row["psnr_db"] < row["target_db"] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
