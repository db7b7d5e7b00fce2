"""Utilization of the array, read from the hardware counters in RTL simulation.

    python bench/utilization.py [ACCELERATOR:NETWORK...] [--size 64] [--json FILE]

For each pair, the generated Verilog decodes a slice of ``size`` x ``size`` voxels of a random
program in the compiled simulator. Voxels must equal the golden model's, and cycles must equal the
predicted cycles.
"""

from harness import Table, parser, run

from implicore.accelerator_config import ACCELERATORS
from implicore.grid import Grid
from implicore.network_shape import NETWORKS
from implicore.random_program import random_program
from implicore.sim.simulation import simulate

PAIRS = ("small:demo", "small:quality", "medium:demo", "medium:quality", "paper:paper")


def measure(accelerator: str, network: str, size: int) -> dict:
    """Decode a slice; return the results by name."""
    config = ACCELERATORS[accelerator]
    program = random_program(NETWORKS[network], config.formats, seed=1)
    plane = program.grid.plane("axial", float(program.grid.matrix[2, 3]))
    scale = [plane.shape[0] / size, plane.shape[1] / size, 1, 1]
    grid = Grid.from_array((size, size, 1), plane.matrix * scale)
    metrics = simulate(program, config, grid=grid)
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
