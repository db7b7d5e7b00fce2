"""Training quality: PSNR within a budget of cpu-seconds of one thread.

The budget includes the choice of sigma, the Fourier features and the training, but neither reading
the image nor the final evaluation. ``python bench/fit.py --help`` lists the options.
"""

from __future__ import annotations

import time
from itertools import product

from datasets import ch2, ch2_crop
from harness import Table, parser, run

from implicore.model.bundled import bundled_mri
from implicore.model.train import fit
from implicore.model.volume import load_volume
from implicore.network_shape import NETWORKS, PRESET_PATCHES
from implicore.patch import POINT

VOLUMES = {"ch2": ch2_crop, "bundled": lambda: load_volume(bundled_mri()), "ch2-whole": ch2}

TARGETS = {
    ("ch2", "demo", 60.0): 39.0,
    ("ch2", "quality", 60.0): 43.5,
    ("ch2", "quality", 240.0): 47.5,
    ("bundled", "demo", 60.0): 39.0,
    ("bundled", "patch", 60.0): 40.0,
}
"""Goals in dB by (volume, preset, seconds). Without options, these are the runs."""


COLUMNS = {
    "volume": ("volume", "<9"),
    "preset": ("preset", "<11"),
    "cpu_seconds": ("cpu-s", ".0f"),
    "target_db": ("target dB", ".1f"),
    "psnr_db": ("PSNR dB", ".2f"),
    "ssim": ("SSIM", "6.4f"),
    "sigma": ("sigma", ".2f"),
    "steps": ("steps", ""),
    "voxels_per_second": ("voxels/s", ".0f"),
    "total_cpu_seconds": ("total cpu-s", ".1f"),
}


def main() -> int:
    """Train, print a table, and return 1 if a goal was missed."""
    arguments = parser(__doc__)
    arguments.add_argument("--volume", action="append", choices=VOLUMES, help="may be repeated")
    arguments.add_argument("--preset", action="append", choices=NETWORKS, help="may be repeated")
    arguments.add_argument("--seconds", action="append", type=float, help="may be repeated")
    arguments.add_argument("--sigma", type=float, help="default: chosen within the budget")
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    runs = list(TARGETS)
    if options.volume or options.preset or options.seconds:
        runs = product(
            options.volume or ["ch2"], options.preset or ["demo"], options.seconds or [60.0]
        )
    table = Table(COLUMNS)
    for name, preset, seconds in runs:
        volume, target = VOLUMES[name](), TARGETS.get((name, preset, seconds))
        started = time.process_time()
        model = fit(
            [volume],
            NETWORKS[preset],
            patch=PRESET_PATCHES.get(preset, POINT),
            seconds=seconds,
            sigma=options.sigma,
            seed=options.seed,
            device="cpu",
            quiet=True,
            clock=time.process_time,
        )
        row = {
            "volume": name,
            "preset": preset,
            "cpu_seconds": model.training["seconds"],
            "target_db": target,
            "psnr_db": model.training["psnr_db"],
            "ssim": model.training["ssim"],
            "sigma": model.sigma,
            "steps": model.training["steps"],
            "voxels_per_second": model.training["voxels_per_second"],
            "total_cpu_seconds": time.process_time() - started,
        }
        table.add(row, missed=target is not None and row["psnr_db"] < target)
    return table.end(options.json)


if __name__ == "__main__":
    run(main)
