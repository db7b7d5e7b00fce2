"""Bit flips in the state of the hardware: what they do to a picture, and what ends them.

    python bench/faults.py [--flips 500] [--seed 1] [--write docs/reliability.md] [--json FILE]

The generated Verilog of a 4 x 4 accelerator decodes a plane of a small network of the bundled MRI,
once for each flip of one bit of one memory or register, in a random cycle of the job. The flips of
a class hit every bit as often as any other; every bit of control state is flipped twice or more.
The accelerator without protection has flips in all classes, that with ``secded`` in the classes
that differ: the memories that hold the program, and control state. ``parity`` differs in the
memories.

A flip is counted once, in the first of these columns that holds:

    hang       the job did not end within twice the predicted cycles
    detected   it ended, and a memory error, an error event or a wrong number of voxels tells so
    corrected  all voxels are right, and a word of the program was corrected
    silent     a voxel is wrong, and nothing tells so
    masked     all voxels are right

The dB are those of wrong pictures of the right size: PSNR relative to the picture without the flip.
Then a short job follows, after nothing, an abort, the program again or a reset, until it is right:
the last columns count what it needed. A hang that only a reset ends misses the goal, and so does a
silent error of a memory with ``secded``.
"""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
from harness import Table, parser, run, write

from implicore.accelerator_config import AcceleratorConfig
from implicore.formats import Formats
from implicore.job import GridJob
from implicore.model.bundled import bundled_mri
from implicore.model.compiler import compile_model
from implicore.model.golden import Renderer
from implicore.model.metrics import psnr
from implicore.model.train import fit
from implicore.model.volume import crop, load_volume
from implicore.network_shape import NetworkShape
from implicore.program import Program
from implicore.sim import faults
from implicore.sim.faults import CLASSES, NEEDS, PROGRAM_MEMORIES, Outcome

SHAPE, FORMATS = NetworkShape(frequencies=16, width=16, depth=3), Formats.parse("w8a12")
CROP, SCALE = "30:62,40:72,30:62", 0.25
PROTECTIONS = {
    "none": CLASSES,
    "secded": (*PROGRAM_MEMORIES, "control"),
    "parity": PROGRAM_MEMORIES,
}
"""Classes of flips for each protection."""

EFFECTS = ("masked", "corrected", "detected", "silent", "hang")
BATCH = 200

COLUMNS = {
    "protection": ("protection", "<"),
    "kind": ("class", "<12"),
    "bits": ("bits", "5d"),
    "flips": ("flips", "5d"),
    **{effect: (effect, "8.2%") for effect in EFFECTS},
    "median_db": ("median dB", ".1f"),
    "low_db": ("5 % dB", "6.1f"),
    "worst_db": ("worst dB", ".1f"),
    **{need: (need, "6d") for need in NEEDS[1:]},
    "hang_reset": ("hangs that need a reset", "d"),
}


def trained() -> Program:
    """Return a program of a small network, trained for a few seconds."""
    volume = crop(load_volume(bundled_mri()), CROP)
    model = fit([volume], SHAPE, steps=1500, sigma=0.7, quiet=True)
    return compile_model(model, FORMATS, [volume]).program


def jobs(program: Program) -> tuple[GridJob, GridJob]:
    """Return the job that is disturbed, a plane, and the one that follows, its first line."""
    plane = GridJob.of(program.grid.scaled(SCALE).middle_plane(), program.frame)
    return plane, GridJob((plane.shape[0], 1, 1), plane.origin, plane.increments)


def effect(outcome: Outcome, voxels: int) -> str:
    """Return the column that a flip is counted in."""
    wrong = outcome.voxels is not None
    if not outcome.ends:
        return "hang"
    if (
        outcome.errors
        or "error" in outcome.events
        or not outcome.port
        or (wrong and len(outcome.voxels) != voxels)
    ):
        return "detected"
    if wrong:
        return "silent"
    return "corrected" if outcome.corrected else "masked"


def summary(protection: str, kind: str, bits: int, outcomes: list[Outcome], golden) -> dict:
    """Return the row of a class."""
    effects = Counter(effect(outcome, len(golden)) for outcome in outcomes)
    needs = Counter(outcome.needs for outcome in outcomes)
    damage = [
        psnr(golden, outcome.voxels, FORMATS.output_max)
        for outcome in outcomes
        if outcome.ends and outcome.voxels is not None and len(outcome.voxels) == len(golden)
    ]
    low, median, worst = (
        (float(np.percentile(damage, 5)), float(np.median(damage)), min(damage))
        if damage
        else (None, None, None)
    )
    return {
        "protection": protection,
        "kind": kind,
        "bits": bits,
        "flips": len(outcomes),
        **{name: effects[name] / len(outcomes) for name in EFFECTS},
        "median_db": median,
        "low_db": low,
        "worst_db": worst,
        **{need: needs[need] for need in NEEDS[1:]},
        "hang_reset": sum(
            not outcome.ends and outcome.needs in ("reset", "no recovery") for outcome in outcomes
        ),
    }


def markdown(rows: list[dict]) -> str:
    """Return the table for the document."""
    titles = ("Protection", "Class", "Bits", "Flips", *(name.capitalize() for name in EFFECTS))
    titles += ("dB: median", "5 %", "worst", "Needs: abort", "reload", "reset")
    lines = [f"| {' | '.join(titles)} |", f"|---|---|{'---:|' * (len(titles) - 2)}"]
    for row in rows:
        cells = [f"`{row['protection']}`", row["kind"], f"{row['bits']:,}", f"{row['flips']:,}"]
        cells += [f"{row[name]:.1%}".replace("%", " %") for name in EFFECTS]
        cells += [
            "" if row[name] is None else f"{row[name]:.1f}"
            for name in ("median_db", "low_db", "worst_db")
        ]
        cells += [f"{row[name]:,}" for name in ("abort", "reload", "reset")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Flip bits of each class, with each protection, and print what happens."""
    options = parser(__doc__)
    options.add_argument("--flips", type=int, default=500, help="flips of a class")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--write", metavar="FILE.md", help="document whose table to replace")
    arguments = options.parse_args()
    program = trained()
    plane, line = jobs(program)
    golden = Renderer(program).voxels(plane.coordinates(0, plane.voxels))
    rng = np.random.default_rng(arguments.seed)
    begin = time.perf_counter()
    table, places = Table(COLUMNS), []
    for protection, kinds in PROTECTIONS.items():
        config = AcceleratorConfig.sized(4, 4, FORMATS, [SHAPE], protection=protection)
        simulator, states = faults.build(config), faults.states_of(config)
        cycles = faults.job_cycles(config, program, plane)
        for kind in kinds:
            bits = sum(state.words * state.bits for state in states if state.kind == kind)
            count = max(arguments.flips, 2 * bits * (kind == "control"))
            flips = faults.random_flips(states, kind, count, cycles, rng)
            outcomes = []
            for first in range(0, count, BATCH):
                part = flips[first : first + BATCH]
                outcomes += simulator.run(program, plane, line, part)
            row = summary(protection, kind, bits, outcomes, golden)
            silent = protection == "secded" and kind in PROGRAM_MEMORIES and row["silent"]
            table.add(row, missed=bool(row["hang_reset"] or row["no recovery"] or silent))
            places += [
                f"{protection} {flip.state.scope.removeprefix('TOP.')}.{flip.state.name}"
                f"[{flip.bit}] in cycle {flip.cycle}: {'wrong' if outcome.ends else 'hang'}, "
                f"{outcome.needs}"
                for flip, outcome in zip(flips, outcomes, strict=True)
                if outcome.needs in ("reset", "no recovery")
            ]
    print(*places, sep="\n")
    flips = sum(row["flips"] for row in table.rows)
    print(f"{flips} flips of a job of {cycles} cycles in {time.perf_counter() - begin:.0f} s")
    if arguments.write:
        write(arguments.write, __file__, markdown(table.rows))
    return table.end(arguments.json)


if __name__ == "__main__":
    run(main)
