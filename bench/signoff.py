"""Check configurations in every way that applies to them: the table of docs/signoff.md.

    python bench/signoff.py [--config NAME...] [--write docs/signoff.md] [--json FILE]

The presets, and odd configurations at the edges of the generator. Each is checked by

- four linters with all warnings (``lint``);
- sessions of random jobs, programs, stalls, aborts and resets in the compiled simulator, compared
  with the golden model and the predicted cycles;
- a decode of the mapped netlist at gate level, with an abort;
- formal equivalence of each mapped module and its Verilog.

The last two take arrays of up to 256 processing elements. The proofs of ``make formal`` are of
components; the table names those that cover one of the configuration's. The exit code is 1 if a
check fails. Every result is cached, so a run that is stopped goes on where it was.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import lint
import numpy as np
from amaranth.lib import wiring
from harness import Table, parser, run, write

from implicore.accelerator_config import ACCELERATORS, AcceleratorConfig
from implicore.cache import cached_json
from implicore.digest import source_digest
from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.hw.accelerator import Accelerator
from implicore.hw.verilog.naming import class_name
from implicore.network_shape import NetworkShape
from implicore.sim import campaign, simulators
from implicore.sim.cases import Size, case_on, random_points
from implicore.sim.script import Script
from implicore.synth import activity, asic, energy, equivalence, mapping, target

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
formal = importlib.import_module("formal.proofs")

SHAPE = NetworkShape(5, 9, 3)


def _odd(rows: int, columns: int, formats: str, *shapes: NetworkShape, **options):
    protection = options.pop("protection", "none")
    config = AcceleratorConfig.sized(
        rows, columns, Formats.parse(formats), shapes or [SHAPE], protection=protection
    )
    return replace(config, **options)


ODD = {
    "one element": _odd(1, 1, "w8a8"),
    "one row": _odd(1, 5, "w8a12"),
    "three columns": _odd(7, 3, "w6a10", weight_word_bits=6),
    "w4a4": _odd(4, 4, "w4a4"),
    "w12a16": _odd(3, 4, "w12a16"),
    "depth 1": _odd(4, 3, "w8a12", NetworkShape(9, 1, 1)),
    "6 outputs, 2 a beat": _odd(3, 4, "w5a9", replace(SHAPE, outputs=6), voxels_per_beat=2),
    "27 outputs, 8 a beat": _odd(4, 4, "w8a8", replace(SHAPE, outputs=27), voxels_per_beat=8),
    "gated zeros": _odd(4, 6, "w8a12", gate_zeros=True),
    "skips": _odd(2, 3, "w6a7o11", NetworkShape(4, 7, 5, (2, 4, 5))),
    "no multiplier": _odd(4, 5, "w8a8m0"),
    "13 rows, 12 lanes": _odd(13, 6, "w4a5m2t12", lanes=12),
    "secded": _odd(3, 4, "w8a12", protection="secded"),
}
"""Configurations at the edges of the generator: few rows, narrow and wide formats, options."""

CONFIGURATIONS = {**ACCELERATORS, **ODD}

SESSIONS = 12
"""Sessions of a configuration in the compiled simulator, each of a separate seed."""

MAX_PES = 256
"""Largest array whose netlist is checked: mapping and proofs then take minutes."""

NOT_PROVEN = {
    "implicore_program_loader_checksum": "SAT takes too long for its sums of 40 bits modulo two",
    "implicore_fourier_lane": "SAT takes too long for its multiplier of 16 by 16 bits",
}
"""Modules whose proof of equivalence does not close, which is not tried, each with the reason."""


def linted(config: AcceleratorConfig) -> str:
    """Return the names of the linters that report something."""
    sources = simulators.verilog(config)
    return " ".join(name for name, report in lint.LINTERS.items() if report(sources))


def sessions(config: AcceleratorConfig) -> dict:
    """Run the sessions; count them, those with stalls and those with an abort or reset."""
    cases = [case_on(config, seed) for seed in range(1, SESSIONS + 1)]
    failed = [case.seed for case in cases if campaign.run(case, "fast")]
    return {
        "sessions": len(cases),
        "stalled": sum(case.stall > 0 for case in cases),
        "interrupted": sum(not {"abort", "reset"}.isdisjoint(case.steps) for case in cases),
        "failed_sessions": failed,
    }


def decode(design: asic.Design) -> dict:
    """Decode at gate level, interrupted by an abort; return the voxels and what differs."""
    config = design.config
    (program, *_) = case_on(config, 1, Size(frequencies=6, width=20, depth=4)).programs
    rng = np.random.default_rng(1)
    script = Script(config)
    script.load(program)
    script.interrupted(random_points(rng, config.rows), script.prediction(1).cycles, reset=False)
    points = 2 * config.rows + 1
    script.points(random_points(rng, points))
    circuit = energy.circuit_of(design)
    done = activity.decode(circuit, script.operations, activity.Window(0, 1), seed=1)
    return {
        "gate_voxels": points * program.shape.outputs,
        "gate_mismatches": script.mismatches(done.responses),
    }


def proven(design: asic.Design) -> dict:
    """Prove each module; return the number of modules and the names of those not proven."""
    tried = [module for name, module in design.modules.items() if name not in NOT_PROVEN]
    found = mapping.map_all(tried, lambda module: equivalence.prove(module, design.target))
    closed = {module.name for module, proof in zip(tried, found, strict=True) if proof}
    return {
        "modules": len(design.modules),
        "not_proven": sorted(design.modules.keys() - closed),
    }


def proofs(config: AcceleratorConfig) -> list[str]:
    """Return the proofs of ``make formal`` that are of a component of the configuration."""
    folder = simulators.verilog(config)[0].parent
    sidecar = json.loads((folder / "implicore.json").read_text(encoding="utf-8"))

    def components(name: str) -> set[str]:
        module = importlib.import_module(f"implicore.hw.{name}")
        kinds = [kind for _, kind in inspect.getmembers(module, inspect.isclass)]
        own = [kind for kind in kinds if kind.__module__ == module.__name__]
        return {class_name(kind) for kind in own if issubclass(kind, wiring.Component)}

    names = {*sidecar["modules"], class_name(Accelerator)}
    return [name for name, proof in formal.PROOFS.items() if components(proof.module) & names]


def check(config: AcceleratorConfig, library: target.Target) -> dict:
    """Return the results of all checks that apply to a configuration."""
    began = time.perf_counter()
    row = {"lint": linted(config), **sessions(config), "proofs": proofs(config)}
    if config.rows * config.columns <= MAX_PES:
        design = asic.map_accelerator(config, library)
        row |= decode(design) | proven(design)
    else:
        row |= dict.fromkeys(("gate_voxels", "gate_mismatches", "modules", "not_proven"))
    return row | {"seconds": time.perf_counter() - began}


def row_of(name: str, config: AcceleratorConfig, library: target.Target) -> dict:
    """Return a row of the table, from the cache if nothing that it depends on has changed."""
    packages = ("implicore", "implicore.hw", "implicore.model", "implicore.sim", "implicore.synth")
    own = [Path(__file__), *(Path(module.__file__) for module in (lint, formal))]
    inputs = [config.to_dict(), library.name, library.liberty, source_digest(*packages), own]
    found = cached_json("signoff", inputs, lambda: check(config, library))
    unexpected = set(found["not_proven"] or ()) - NOT_PROVEN.keys()
    failed = found["lint"] or found["failed_sessions"] or found["gate_mismatches"] or unexpected
    return {
        "name": name,
        "array": f"{config.rows} x {config.columns}",
        "formats": str(config.formats),
        **found,
        "proven": found["modules"] and found["modules"] - len(found["not_proven"]),
        "passed": not failed,
    }


COLUMNS = {
    "name": ("configuration", "<20"),
    "array": ("array", "<8"),
    "formats": ("formats", "<10"),
    "lint": ("lint reports", "<"),
    "sessions": ("sessions", ""),
    "stalled": ("stalled", ""),
    "interrupted": ("interrupted", ""),
    "gate_voxels": ("gate voxels", ""),
    "proven": ("proven", ""),
    "modules": ("of modules", ""),
    "seconds": ("s", "5.0f"),
}


def markdown(rows: list[dict], library: target.Target) -> str:
    """Return the table of the document."""
    lines = [
        f"{date.today().isoformat()}, netlists in the cells of {library.title}.",
        "",
        "| Configuration | Array | Formats | Lint | Sessions | of these stalled | interrupted "
        "| Voxels at gate level | Modules proven | Proofs |",
        "|---|---|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        netlist = ["", ""]
        if row["modules"]:
            voxels = "FAIL" if row["gate_mismatches"] else str(row["gate_voxels"])
            netlist = [voxels, f"{row['proven']} of {row['modules']}"]
        cells = [
            row["name"] if row["passed"] else f"**{row['name']}: FAIL**",
            row["array"],
            row["formats"],
            f"FAIL: {row['lint']}" if row["lint"] else "4 of 4",
            f"FAIL: {row['failed_sessions']}" if row["failed_sessions"] else str(row["sessions"]),
            str(row["stalled"]),
            str(row["interrupted"]),
            *netlist,
            ", ".join(row["proofs"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    open_modules = sorted({name for row in rows for name in row["not_proven"] or ()})
    for name in open_modules:
        lines += ["", f"Not proven: `{name}`; {NOT_PROVEN.get(name, 'FAIL')}."]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Check, print a table, and return 1 if a configuration fails a check."""
    arguments = parser(__doc__)
    arguments.add_argument("--config", action="append", metavar="NAME", help="one configuration")
    arguments.add_argument("--target", default="ihp-sg13g2", help="cell library of the netlists")
    arguments.add_argument("--write", metavar="FILE.md", help="document whose table to replace")
    options = arguments.parse_args()
    library = target.find(options.target)
    chosen = options.config or list(CONFIGURATIONS)
    for name in set(chosen) - CONFIGURATIONS.keys():
        raise BadInput(f"There is no configuration {name!r}: choose {', '.join(CONFIGURATIONS)}.")
    table = Table(COLUMNS)
    for name in chosen:
        row = row_of(name, CONFIGURATIONS[name], library)
        table.add(row, missed=not row["passed"])
        if not row["passed"]:
            print(f"  FAIL: {row['failed_sessions']} {row['gate_mismatches']} {row['not_proven']}")
        if options.write:
            write(options.write, __file__, markdown(table.rows, library))
    return table.end(options.json)


if __name__ == "__main__":
    run(main)
