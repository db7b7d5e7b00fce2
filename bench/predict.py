"""Accuracy of the predictor for synthesized accelerators that it was not fitted to.

    python bench/predict.py MODEL [--target ihp-sg13g2] [--only ROW...] [--json FILE]

A model (``implicore fit``) is compiled to each format. Every accelerator is synthesized, and its
netlist decodes the program. The prediction is for the same clock. "logic" is the error of the area
without memories, whose macros are known exactly. Goals: area within 5 %, energy per voxel within
15 %; for a model of patches, which is tried on other accelerators, within 1 % and 3 %. The first
run takes an hour, half an hour for patches; later runs repeat only what has changed.
"""

from dataclasses import replace

from harness import Table, parser, run

from implicore.accelerator_config import AcceleratorConfig
from implicore.digest import path_digest
from implicore.formats import Formats
from implicore.model.checkpoint import Model
from implicore.model.volume import load_source
from implicore.network_shape import NETWORKS
from implicore.patch import POINT
from implicore.synth import asic, energy, target
from implicore.synth.explore.points import Source
from implicore.synth.explore.predict import predict
from implicore.synth.explore.unit_costs import UnitCosts, characterize
from implicore.synth.explore.workload import prepare

AREA, ENERGY = 0.05, 0.15
PATCH_AREA, PATCH_ENERGY = 0.01, 0.03
"""Maximum relative errors."""

PATCH_CONFIGS = (
    # as below, and the voxels of a beat
    ("w8a12", True, 8, 8, 1, None, 1),
    ("w8a12", True, 5, 12, 1, None, 4),
    ("w8a12", True, 12, 10, 2, "quality", 2),
    ("w8a12", True, 20, 6, 2, None, 8),
    ("w6a8", True, 6, 10, 1, None, 2),
    ("w6a8", True, 10, 9, 2, "fast", 1),
)
CONFIGS = (
    # formats, zero gating, rows, columns, lanes, another network that the memories hold
    ("w8a12", False, 8, 8, 1, None),
    ("w8a12", False, 6, 10, 1, "fast"),
    ("w8a12", False, 5, 24, 2, "quality"),
    ("w8a12", False, 16, 12, 3, None),
    ("w8a12", False, 24, 20, 1, "quality"),
    ("w8a12", True, 8, 12, 1, None),
    ("w8a12", True, 13, 7, 2, "quality"),
    ("w8a8", False, 8, 8, 1, None),
    ("w8a8", False, 20, 6, 4, None),
    ("w8a8", False, 3, 32, 1, "paper"),
    ("w12a16", False, 6, 8, 1, None),
    ("w12a16", False, 11, 9, 2, "quality"),
)

NAMES = {
    "area": "area_um2",
    "logic": "logic_area_um2",
    "energy": "nj_per_voxel",
    "fmax": "fmax_mhz",
}

COLUMNS = {
    "formats": ("formats", "<6"),
    "gated": ("gated", "<5"),
    "rows": ("rows", ""),
    "columns": ("columns", ""),
    "lanes": ("lanes", ""),
    "voxels_per_beat": ("beat", ""),
    "memories": ("memories", "<8"),
    "area_um2": ("um2", "9.0f"),
    "predicted_area_um2": ("predicted", "9.0f"),
    "area_error": ("error", "+.1%"),
    "logic_error": ("logic", "+.1%"),
    "nj_per_voxel": ("nJ/voxel", "7.1f"),
    "predicted_nj_per_voxel": ("predicted", "7.1f"),
    "energy_error": ("error", "+.1%"),
    "fmax_mhz": ("MHz", ".0f"),
    "predicted_fmax_mhz": ("predicted", ".0f"),
    "fmax_error": ("error", "+.1%"),
}


def compare(config: AcceleratorConfig, program, costs: UnitCosts) -> dict:
    """Synthesize and predict one accelerator; return its row."""
    design = asic.map_accelerator(config, costs.target)
    clock = design.fmax_mhz
    measured = energy.summary(design, program, energy.simulate(design, program), clock)
    predicted = predict(config, program.shape, costs, clock_mhz=clock)
    pairs = {
        "area": (design.area_um2, predicted["area_um2"]),
        "logic": (design.logic_area_um2, predicted["logic_area_um2"]),
        "energy": (measured["nj_per_voxel"], predicted["nj_per_voxel"]),
        "fmax": (clock, predicted["fmax_mhz"]),
    }
    row = {}
    for name, (actual, prediction) in pairs.items():
        row |= {NAMES[name]: actual, f"predicted_{NAMES[name]}": prediction}
        row[f"{name}_error"] = prediction / actual - 1
    blocks = {block: {"area_um2": area} for block, area in design.block_areas.items()}
    for block, shares in measured["power_blocks"].items():
        blocks[block] |= shares
    return {**row, "blocks": blocks, "predicted_blocks": predicted["blocks"]}


def main() -> int:
    """Measure, print a table, and return 1 if a goal was missed."""
    arguments = parser(__doc__)
    arguments.add_argument("model")
    arguments.add_argument("--target", default="ihp-sg13g2")
    arguments.add_argument(
        "--only",
        type=int,
        nargs="+",
        metavar="ROW",
        help="rows to measure, from 1",
    )
    options = arguments.parse_args()
    cells, model = target.find(options.target), Model.load(options.model)
    patches = model.patch != POINT
    configs = PATCH_CONFIGS if patches else [(*config, 1) for config in CONFIGS]
    area_goal, energy_goal = (PATCH_AREA, PATCH_ENERGY) if patches else (AREA, ENERGY)
    source = Source("model", options.model, model.shape, model, path_digest(options.model))
    volumes = [load_source(image) for image in model.images]
    table = Table(COLUMNS)
    for number in options.only or range(1, len(configs) + 1):
        formats, gated, rows, columns, lanes, other, voxels_per_beat = configs[number - 1]
        formats = Formats.parse(formats)
        program = prepare(source, formats, volumes).program
        networks = [model.shape] + ([NETWORKS[other]] if other else [])
        config = AcceleratorConfig.sized(rows, columns, formats, networks, gate_zeros=gated)
        config = replace(config, lanes=lanes, voxels_per_beat=voxels_per_beat)
        costs = characterize(config, cells, program)
        row = {
            "formats": str(formats),
            "gated": "yes" if gated else "",
            **{"rows": rows, "columns": columns, "lanes": lanes, "memories": other or ""},
            "voxels_per_beat": voxels_per_beat,
            **compare(config, program, costs),
        }
        missed = abs(row["area_error"]) > area_goal or abs(row["energy_error"]) > energy_goal
        table.add(row, missed=missed)
    return table.end(options.json)


if __name__ == "__main__":
    run(main)
