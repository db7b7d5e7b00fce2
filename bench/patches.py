"""Networks of patches against networks of points: quality, bits, seams, energy and throughput.

Each network is trained in cpu-seconds of one thread, with the same sigma for all networks of a
volume, and compiled. A *seam* is the mean absolute step of the error (decoded minus source) from a
voxel to the next across a patch boundary, divided by that inside patches. With ``--synth TARGET``,
the programs are decoded at gate level by the 16 x 16 accelerator that is sized for them, with zero
gating. Trained networks and programs stay in a folder, so that an interrupted run resumes.
``python bench/patches.py --help`` lists the options.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from datasets import ch2
from harness import Table, parser, run

from implicore.accelerator_config import AcceleratorConfig
from implicore.atomic import make_folder, write_json
from implicore.digest import json_digest, path_digest, source_digest
from implicore.formats import Formats
from implicore.model.bundled import bundled_mri
from implicore.model.checkpoint import Model
from implicore.model.compiler import compile_model
from implicore.model.golden import Renderer
from implicore.model.train import fit
from implicore.model.volume import Volume, load_volume
from implicore.network_shape import NETWORKS, PRESET_PATCHES, NetworkShape
from implicore.patch import POINT, Patch, parse_patch, patch_name
from implicore.program import Program

FOLDER = "build/patches"
SECONDS = {"bundled": 60.0, "ch2": 150.0}
"""Cpu-seconds of training by volume."""

SIGMA = {"bundled": 1.4, "ch2": 2.0}
"""Standard deviation of the frequencies by volume: it is given, so that networks are compared and
not the probes that choose it."""


@dataclass(frozen=True)
class Case:
    """A network of a volume. A preset has its own patch."""

    volume: str
    shape: NetworkShape
    patch: Patch


def _preset(volume: str, name: str) -> Case:
    return Case(volume, NETWORKS[name], PRESET_PATCHES.get(name, POINT))


def _sized(patch: str, width: int, depth: int) -> Case:
    edges = parse_patch(patch)
    shape = NetworkShape(frequencies=64, width=width, depth=depth, outputs=prod(edges))
    return Case("bundled", shape, edges)


CASES = {
    "demo": _preset("bundled", "demo"),
    "patch": _preset("bundled", "patch"),
    "quality": _preset("bundled", "quality"),
    "patch-large": _preset("bundled", "patch-large"),
    "small": _sized("1x1x1", 24, 8),
    "demo-2x2x2": _sized("2x2x2", 64, 15),
    "demo-4x4x4": _sized("4x4x4", 64, 15),
    "patch-8x8x8": _sized("8x8x8", 112, 8),
    "ch2-quality": _preset("ch2", "quality"),
    "ch2-patch-large": _preset("ch2", "patch-large"),
}
"""Networks by name. Those of the same line of sizes differ in the patch only."""

AT_LEAST = {
    "patch": {"psnr_db": 40.0, "voxels_per_second": 40e6},
    "patch-large": {"psnr_db": 43.0},
}
AT_MOST = {
    "patch": {"seam": 1.05, "nj_per_voxel": 12.0},
    "patch-large": {"nj_per_voxel": 30.0},
}
"""Goals by network and figure."""

PAIR, PAIR_DB, PAIR_MACS = ("ch2-quality", "ch2-patch-large"), 0.3, 60
"""The second network may fall behind the first by these dB, at this share of its arithmetic."""

COLUMNS = {
    "network": ("network", "<15"),
    "patch": ("patch", "<7"),
    "size": ("width x depth, L", "<16"),
    "formats": ("formats", "<7"),
    "cpu_seconds": ("cpu-s", ".0f"),
    "steps": ("steps", ",d"),
    "parameters": ("parameters", ",d"),
    "macs_per_voxel": ("MAC/voxel", ",.0f"),
    "psnr_float_db": ("float dB", ".2f"),
    "psnr_db": ("integer dB", ".2f"),
    "bits_per_voxel": ("bits/voxel", ".3f"),
    "seam": ("seam", ".3f"),
    "nj_per_voxel": ("nJ/voxel", ".2f"),
    "voxels_per_second": ("voxels/s", ",.0f"),
}


def seam(error: np.ndarray, patch: Patch) -> float:
    """Return the mean absolute step across patch boundaries over that inside patches.

    Steps along the three axes are pooled. The patch has at least two voxels.
    """
    across, inside = [], []
    for axis, edge in enumerate(patch):
        steps = np.abs(np.diff(error, axis=axis))
        boundary = np.arange(1, error.shape[axis]) % edge == 0
        across.append(steps.compress(boundary, axis).ravel())
        inside.append(steps.compress(~boundary, axis).ravel())
    return float(np.concatenate(across).mean() / np.concatenate(inside).mean())


def trained(case: Case, volume: Volume, seconds: float, path: Path) -> Model:
    """Load the network from ``path``, or train it and save it there."""
    if path.exists():
        return Model.load(path)
    return fit(
        [volume],
        case.shape,
        patch=case.patch,
        seconds=seconds,
        sigma=SIGMA[case.volume],
        device="cpu",
        output=path,
        resume=True,
        quiet=True,
        clock=time.process_time,
    )


def compiled(model: Path, volume: Volume, formats: Formats, path: Path) -> dict:
    """Compile to ``path`` and measure the program, unless its record there is up to date."""
    record = path.with_suffix(".json")
    sources = source_digest("implicore", "implicore.model")
    key = json_digest([sources, path_digest(model), str(formats), Path(__file__)])
    if record.exists() and path.exists():
        metrics = json.loads(record.read_text(encoding="utf-8"))
        if metrics["key"] == [key, path_digest(path)]:
            return metrics
    result = compile_model(Model.load(model), formats, [volume])
    result.program.save(path)
    metrics = {name: result.metrics[name] for name in ("psnr_float_db", "psnr_db")}
    metrics["bits_per_voxel"] = result.metrics["bits_per_voxel"]
    metrics["seam"] = None
    if result.program.patch != POINT:
        voxels = Renderer(result.program).render(volume.grid)
        decoded = result.program.intensity.values(voxels, formats.output_max)
        metrics["seam"] = seam(decoded - volume.data, result.program.patch)
    write_json(record, {**metrics, "key": [key, path_digest(path)]})
    return metrics


def synthesized(program: Program, target: str, folder: Path) -> dict:
    """Return energy and throughput of the accelerator that is sized for a program."""
    from implicore.synth.synthesis import synthesize

    config = AcceleratorConfig.sized(16, 16, program.formats, [program.shape], gate_zeros=True)
    return synthesize(config, target, folder, program=program)


def missed(row: dict) -> bool:
    """Return whether a row misses a goal of its network."""
    least, most = (goals.get(row["network"], {}) for goals in (AT_LEAST, AT_MOST))
    known = {name for name, value in row.items() if value is not None}
    return any(row[name] < least[name] for name in known & least.keys()) or any(
        row[name] > most[name] for name in known & most.keys()
    )


def compare(rows: list[dict]) -> bool:
    """Print how the networks of ``PAIR`` compare, if both were measured; return True for a miss."""
    found = {row["network"]: row for row in rows if row["network"] in PAIR}
    if len(found) < len(PAIR):
        return False
    point, patch = (found[name] for name in PAIR)
    gain = patch["psnr_float_db"] - point["psnr_float_db"]
    share = point["macs_per_voxel"] / patch["macs_per_voxel"]
    print(f"{PAIR[1]} against {PAIR[0]}: {gain:+.2f} dB, 1/{share:.0f} of the multiplications")
    return gain < -PAIR_DB or share < PAIR_MACS


def main() -> int:
    """Measure, print a table, and return 1 if a goal was missed."""
    arguments = parser(__doc__)
    arguments.add_argument("--network", action="append", choices=CASES, help="may be repeated")
    arguments.add_argument("--formats", action="append", help="default: w8a12; may be repeated")
    arguments.add_argument("--seconds", type=float, help="cpu-seconds of each training")
    arguments.add_argument("--synth", metavar="TARGET", help="measure energy and throughput")
    arguments.add_argument("--folder", default=FOLDER, help="default: %(default)s")
    options = arguments.parse_args()
    folder = make_folder(options.folder)
    volumes = {"bundled": lambda: load_volume(bundled_mri()), "ch2": ch2}
    table = Table(COLUMNS)
    for name in options.network or CASES:
        case = CASES[name]
        volume, shape = volumes[case.volume](), case.shape
        seconds = options.seconds or SECONDS[case.volume]
        stem = f"{name}-{json_digest([shape.to_dict(), SIGMA[case.volume]])[:8]}-{seconds:g}s"
        path = folder / f"{stem}.model"
        model = trained(case, volume, seconds, path)
        for formats in map(Formats.parse, options.formats or ["w8a12"]):
            program = folder / f"{stem}-{formats}.inr"
            row = {
                "network": name,
                "patch": patch_name(case.patch),
                "size": f"{shape.width} x {shape.depth}, {shape.frequencies}",
                "formats": str(formats),
                "cpu_seconds": model.training["seconds"],
                "steps": model.training["steps"],
                "parameters": shape.parameters,
                "macs_per_voxel": shape.macs_per_voxel,
                **dict.fromkeys(("nj_per_voxel", "voxels_per_second")),
                **compiled(path, volume, formats, program),
            }
            if options.synth:
                result = synthesized(
                    Program.load(program), options.synth, folder / f"{stem}-{formats}-synth"
                )
                row |= {key: result[key] for key in ("nj_per_voxel", "voxels_per_second")}
            table.add(row, missed=missed(row))
    table.missed |= compare(table.rows)
    return table.end(options.json)


if __name__ == "__main__":
    run(main)
