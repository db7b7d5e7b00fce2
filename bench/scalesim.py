"""Cycles of the same layers on the same output-stationary array: SCALE-Sim, cycles.py and RTL.

    pip install 'implicore[peers]'
    python bench/scalesim.py [ROWSxCOLUMNS:NETWORK...] [--tiles 4] [--json FILE]

Each network decodes ``--tiles`` voxel tiles, one voxel per row. In SCALE-Sim every layer is a
matrix product (voxels x inputs x neurons), with memories that never stall. The RTL is the generated
Verilog in the compiled simulator. ``docs/exploration.md`` explains the columns.
"""

import csv
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import Table, parser, run

from implicore.accelerator_config import AcceleratorConfig
from implicore.cycles import predict
from implicore.dataflow import array_layers, column_tiles
from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.network_shape import NETWORKS
from implicore.random_program import random_program
from implicore.sim.simulation import simulate

PAIRS = ("4x4:demo", "8x8:demo", "16x16:demo", "8x32:demo", "32x8:demo", "16x16:quality")

CONFIGURATION = """[general]
run_name = run
[run_presets]
InterfaceBandwidth = CALC
UseRamulatorTrace = False
[architecture_presets]
ArrayHeight = {rows}
ArrayWidth = {columns}
IfmapSramSzkB = 4096
FilterSramSzkB = 4096
OfmapSramSzkB = 4096
IfmapOffset = 0
FilterOffset = 10000000
OfmapOffset = 20000000
Dataflow = os
ReadRequestBuffer = 64
WriteRequestBuffer = 64
[layout]
IfmapCustomLayout = False
FilterCustomLayout = False
IfmapSRAMBankBandwidth = 10
IfmapSRAMBankNum = 10
IfmapSRAMBankPort = 2
FilterSRAMBankBandwidth = 10
FilterSRAMBankNum = 10
FilterSRAMBankPort = 2
[sparsity]
SparsitySupport = false
"""

PROGRAM = """
import numpy
import scalesim.memory.double_buffered_scratchpad_mem as memory
from scalesim.scale_sim import scalesim
memory.max = lambda *values: numpy.max(values)  # int() of an array is an error since numpy 2.4
scalesim(save_disk_space=True, verbose=False, config="c.cfg", topology="t.csv", layout="l.csv",
         input_type_gemm=True).run_scale(top_path="reports")
"""


def peer(layers, rows: int, columns: int, voxels: int) -> int:
    """Return SCALE-Sim's cycles for all layers, one after the other."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "c.cfg").write_text(CONFIGURATION.format(rows=rows, columns=columns))
        lines = [
            f"layer{number}, {voxels}, {layer.outputs}, {layer.inputs}, 1:1,"
            for number, layer in enumerate(layers)
        ]
        (folder / "t.csv").write_text("\n".join(["Layer, M, N, K, Sparsity,", *lines, ""]))
        # SCALE-Sim requires layouts even if it does not use them.
        ones = ", ".join("1" * 14)
        lines = [f"layer{number}, {ones}," for number in range(len(layers))]
        (folder / "l.csv").write_text("\n".join(["Layer,", *lines, ""]))
        command = [sys.executable, "-c", PROGRAM]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        report = folder / "reports" / "run" / "COMPUTE_REPORT.csv"
        if done.returncode or not report.is_file():
            last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise BadInput(f"SCALE-Sim failed: {' '.join(last) or 'no report'}.")
        with open(report, newline="") as file:
            table = list(csv.DictReader(file, skipinitialspace=True))
        return round(sum(float(row["Total Cycles"]) for row in table))


def measure(pair: str, tiles: int) -> dict:
    """Measure one array and network; return the results by name."""
    size, _, network = pair.partition(":")
    rows, columns = map(int, size.split("x"))
    shape, formats = NETWORKS[network], Formats(8, 12)
    config = AcceleratorConfig.sized(rows, columns, formats, [shape])
    voxels = tiles * rows
    ours = predict(shape, config, voxels)
    figures = simulate(random_program(shape, formats, seed=1), config, points=voxels)
    layers = array_layers(shape)
    folds = tiles * sum(column_tiles(layer.outputs, columns) for layer in layers)
    last_layer = shape.layers[len(layers) :]
    theirs = peer(shape.layers, rows, columns, voxels)
    return {
        "pair": pair,
        "scalesim": theirs,
        "last_layer": tiles * sum(layer.inputs + rows + columns - 2 for layer in last_layer),
        "skew": folds * (rows + columns - 2),
        "steps": ours.steps,
        "edges": ours.cycles - ours.steps,
        "ours": ours.cycles,
        "rtl": figures["cycles"],
        "layers": shape.depth,
        "ratio": theirs / ours.cycles,
        "agrees": figures["agrees"] and figures["cycles"] == ours.cycles,
    }


COLUMNS = {
    "pair": ("array:network", "<13"),
    "scalesim": ("SCALE-Sim", "9"),
    "last_layer": ("last layer", ""),
    "skew": ("fill, drain", ""),
    "steps": ("active", "9"),
    "edges": ("begin, end", ""),
    "ours": ("cycles.py", "9"),
    "rtl": ("RTL", "9"),
    "ratio": ("SCALE-Sim / RTL", ".3f"),
}


def main() -> int:
    """Print the table; return 1 if the RTL deviates or a difference is not explained."""
    arguments = parser(__doc__)
    arguments.add_argument("pairs", nargs="*", default=PAIRS, metavar="ROWSxCOLUMNS:NETWORK")
    arguments.add_argument("--tiles", type=int, default=4)
    options = arguments.parse_args()
    table = Table(COLUMNS)
    for pair in options.pairs:
        row = measure(pair, options.tiles)
        explained = (
            row["scalesim"] == row["steps"] + row["skew"] + row["last_layer"] - row["layers"]
        )
        table.add(row, missed=not (row["agrees"] and explained))
    return table.end(options.json)


if __name__ == "__main__":
    run(main)
