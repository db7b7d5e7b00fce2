"""Utilization of the array, read from the hardware counters in RTL simulation.

    python bench/utilization.py [ACCELERATOR:NETWORK...] [--size 64] [--json FILE]

For each pair, the generated Verilog decodes a slice of ``size`` x ``size`` voxels of a random
program in the compiled simulator, or of as many patches. Voxels must equal the golden model's, and
cycles must equal the predicted cycles.
"""

from dataclasses import replace
from math import prod

from harness import Table, parser, run

from implicore.accelerator_config import ACCELERATORS, AcceleratorConfig
from implicore.grid import Frame, Grid
from implicore.network_shape import NETWORKS, PRESET_PATCHES
from implicore.patch import POINT, Lattice
from implicore.random_program import random_program
from implicore.sim.simulation import simulate

PATCHES = {**PRESET_PATCHES, "paper-patch": (4, 4, 4)}
SHAPES = {
    **NETWORKS,
    "paper-patch": replace(NETWORKS["paper"], outputs=prod(PATCHES["paper-patch"])),
}
CONFIGS = {
    **ACCELERATORS,
    "paper-patch": AcceleratorConfig.sized(
        64, 64, ACCELERATORS["paper"].formats, [SHAPES["paper-patch"]]
    ),
}
PAIRS = (
    *("small:demo", "small:quality", "medium:demo", "medium:quality", "patch:patch"),
    *("paper:paper", "paper-patch:paper-patch"),
)


def measure(accelerator: str, network: str, size: int) -> dict:
    """Decode a slice; return the results by name."""
    config, patch = CONFIGS[accelerator], PATCHES.get(network, POINT)
    program = random_program(SHAPES[network], config.formats, seed=1, patch=patch)
    grid = Grid.from_array((size * patch[0], size * patch[1], patch[2]), program.grid.affine)
    frame = Frame.around([Lattice(grid, patch).padded])
    metrics = simulate(replace(program, grid=grid, frame=frame), config, grid=grid)
    return {"accelerator": accelerator, "network": network, **metrics}


COLUMNS = {
    "accelerator": ("accelerator", "<"),
    "network": ("network", "<"),
    "utilization": ("utilization", ".2%"),
    "cycles": ("cycles", "9"),
    "predicted_cycles": ("predicted", ""),
    "mismatches": ("voxels wrong", ""),
    "voxels": ("of", "6"),
    "cycles_per_second": ("cycles/s", ".0f"),
    "build_seconds": ("built in s", ".1f"),
}


def main() -> int:
    """Measure, print a table, and return 1 if a voxel or a counter is not as expected."""
    arguments = parser(__doc__)
    arguments.add_argument("pairs", nargs="*", default=PAIRS, metavar="ACCELERATOR:NETWORK")
    arguments.add_argument("--size", type=int, default=64)
    options = arguments.parse_args()
    table = Table(COLUMNS)
    for pair in options.pairs:
        row = measure(*pair.split(":"), options.size)
        table.add(row, missed=not row["agrees"])
        for complaint in row["complaints"]:
            print(f"  {complaint}")
    return table.end(options.json)


if __name__ == "__main__":
    run(main)
