"""One network from three thick-slice scans, against cubic upsampling (after Wu et al., IREM 2021).

The 64^3 crop of ch2 is averaged over 4 voxels along one axis, once per axis, which gives three
orthogonal scans of one subject. One network is fitted to all three in world coordinates and
rendered on the crop's grid. It is compared with the mean of the scans' cubic upsamplings. Gaussian
noise is added to the scans. The ground truth is used only for the PSNR.
"""

from __future__ import annotations

import time

import numpy as np
from datasets import ch2_crop
from harness import Table, parser, run
from scipy.ndimage import map_coordinates

from implicore.grid import Grid
from implicore.model.metrics import psnr
from implicore.model.network import reconstruct
from implicore.model.train import fit
from implicore.model.volume import Volume
from implicore.network_shape import NETWORKS, PRESET_PATCHES

FACTOR = 4
"""Thickness of a slice, in voxels of the crop."""

TARGETS = {0.0: 1.5, 0.03: 2.5}
"""Goals in dB above the cubic upsamplings, by the noise as a fraction of full scale.

They apply to the slice profile, which describes these scans; the point profile is a comparison."""


def thick_scan(volume: Volume, axis: int, noise: float, rng: np.random.Generator) -> Volume:
    """Average ``FACTOR`` voxels along an axis and add noise in the unit of the image."""
    grid = volume.grid
    shape = list(grid.shape)
    shape[axis] //= FACTOR
    blocks = [*shape[: axis + 1], FACTOR, *shape[axis + 1 :]]
    data = volume.data.reshape(blocks).mean(axis=axis + 1, dtype=np.float64)
    matrix = grid.matrix.copy()
    centre = np.zeros(3)
    centre[axis] = (FACTOR - 1) / 2  # of the first block
    matrix[:3, 3] = grid.world(centre)
    matrix[:3, axis] *= FACTOR
    data = (data + rng.normal(0, noise, data.shape)).astype(np.float32)
    return Volume(data, Grid.from_array(shape, matrix), f"thick along {axis}")


def upsampled(scan: Volume, grid: Grid) -> np.ndarray:
    """Interpolate a scan on a grid with cubic B-splines."""
    world = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))
    index = (world - scan.grid.matrix[:3, 3]) @ np.linalg.inv(scan.grid.matrix[:3, :3]).T
    return map_coordinates(scan.data, np.moveaxis(index, -1, 0), order=3, mode="reflect")


COLUMNS = {
    "noise": ("noise", ".3f"),
    "profile": ("profile", "<"),
    "sigma": ("sigma", ".2f"),
    "steps": ("steps", "6"),
    "cubic_psnr_db": ("cubic dB", ".2f"),
    "psnr_db": ("network dB", ".2f"),
    "gain_db": ("gain dB", ".2f"),
    "target_db": ("target dB", ".1f"),
}


def main() -> int:
    """Fit, print a table, and return 1 if a goal was missed."""
    arguments = parser(__doc__)
    points = NETWORKS.keys() - PRESET_PATCHES  # a patch is of one scan
    arguments.add_argument("--preset", default="demo", choices=sorted(points))
    arguments.add_argument("--seconds", type=float, default=60.0, help="cpu-seconds per fit")
    arguments.add_argument("--sigma", type=float, help="default: chosen within the budget")
    arguments.add_argument("--noise", action="append", type=float, help="fraction of full scale")
    arguments.add_argument("--profile", action="append", choices=("point", "slice"))
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    truth = ch2_crop()
    table = Table(COLUMNS)
    for noise in options.noise or TARGETS:
        rng = np.random.default_rng(options.seed)
        scans = [thick_scan(truth, axis, 255 * noise, rng) for axis in range(3)]
        cubic = psnr(truth.data, np.mean([upsampled(s, truth.grid) for s in scans], axis=0), 255)
        for profile in options.profile or ("point", "slice"):
            model = fit(
                scans,
                NETWORKS[options.preset],
                seconds=options.seconds,
                sigma=options.sigma,
                seed=options.seed,
                device="cpu",
                profile=profile,
                quiet=True,
                clock=time.process_time,
            )
            network = psnr(truth.data, reconstruct(model, truth.grid), 255)
            target = TARGETS.get(noise) if profile == "slice" else None
            row = {
                "noise": noise,
                "profile": profile,
                "preset": options.preset,
                "cpu_seconds": model.training["seconds"],
                "sigma": model.sigma,
                "steps": model.training["steps"],
                "fitted_psnr_db": model.training["psnr_db"],
                "cubic_psnr_db": cubic,
                "psnr_db": network,
                "gain_db": network - cubic,
                "target_db": target,
            }
            table.add(row, missed=target is not None and row["gain_db"] < target)
    return table.end(options.json)


if __name__ == "__main__":
    run(main)
