"""What a decode costs: power by block, energy of a multiply-accumulate, a voxel and a slice.

A line of voxels through the middle of the program's image is decoded on the whole accelerator in
gates, every voxel compared with the golden model. Activity is counted over whole voxel tiles, once
the pipeline is full. Nothing is sampled but time.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from implicore.cycles import Accesses, predict
from implicore.job import GridJob
from implicore.program import Program
from implicore.sim.script import Script
from implicore.sim.simulate import middle_plane
from implicore.sim.tools import ToolFailed

from . import activity
from .circuit import Circuit
from .liberty import read_liberty
from .power import CLOCK_SLEW_NS, Part, Power

WINDOW_TILES = 2
"""Voxel tiles counted."""
AROUND = 3
"""Tiles that are decoded beside: one before the window, two behind it for the mapper to work on."""
SLICE = 256 * 256

BLOCKS = (
    ("array", r"core.array"),
    ("requantizers", "core.row.requantizer"),
    ("tails", "core.row.tail"),
    ("features memory", "core.row.features"),
    ("hidden memory", "core.row.hidden"),
    ("row units", "core.row"),
    ("weights memory", "core.column.weights"),
    ("column units", "core.column"),
    ("constants memory", "core.constants"),
    ("elements memory", "core.elements"),
    ("sine tables", "core.mapper.lane.table"),
    ("Fourier mapper", "core.mapper"),
    ("control", ""),
)
"""Blocks and the instances that begin them; the first that fits counts."""

LEFT_OUT = (
    "wires, the clock tree and glitches (every net settles at most once a cycle); "
    f"the clock is ideal, its slope {CLOCK_SLEW_NS} ns"
)


@dataclass(frozen=True)
class Measurement:
    """Activity of a real decode, and what it takes.

    Attributes
    ----------
    parts : list of Part
    activity : Activity
    circuit : Circuit
    record : ndarray
        Operands of the processing elements: (cycles, activation bits then weight bits then
        ``done``, elements).
    voxels, mismatches, cycles : int
        Decoded; other than the golden model's; of the whole simulation.
    """

    parts: list[Part]
    activity: activity.Activity
    circuit: Circuit
    record: np.ndarray
    voxels: int
    mismatches: int
    cycles: int


def line(program: Program, voxels: int) -> GridJob:
    """So many voxels, evenly spread over the middle line of the middle plane."""
    plane = GridJob.of(middle_plane(program.grid), program.frame)
    along, across = (np.array(step) for step in plane.steps[:2])
    origin = np.array(plane.origin) + across * (plane.shape[1] // 2)
    step = along * (plane.shape[0] - 1) // max(1, voxels - 1)
    zero = (0, 0, 0)
    return GridJob((voxels, 1, 1), tuple(origin.tolist()), (tuple(step.tolist()), zero, zero))


def circuit_of(design) -> Circuit:
    """The whole accelerator of a mapped design."""
    macros = {memory.macro.name: memory.macro for memory in design.memories.values()}
    cells = read_liberty(design.target.liberty).cells
    return Circuit("implicore", activity.netlists_of(design), cells, macros)


def simulate(
    design, program: Program, *, tiles: int = WINDOW_TILES, seed: int = 1, record: bool = False
) -> Measurement:
    """Decode on gates; ToolFailed if a voxel or the count of a memory's accesses is wrong.

    Parameters
    ----------
    design : Design
    program : Program
    tiles : int
        Voxel tiles to be counted.
    seed : int
        Of the flip-flops' state at power-up.
    record : bool
        Whether to record the operands of all processing elements.
    """
    config = design.config
    config.check_fits(program)
    circuit = circuit_of(design)
    script = Script(config)
    script.load(program)
    job = line(program, (tiles + AROUND) * config.rows)
    script.grid(job)
    window = activity.Window(config.rows, (1 + tiles) * config.rows)
    if record:
        window = activity.Window(window.first, window.last, tuple(_operands(circuit)))
    run = activity.decode(circuit, script.operations, window, seed=seed)
    complaints = script.mismatches(run.answers)
    if complaints or run.activity is None:
        raise ToolFailed(f"The netlist does not decode: {'; '.join(complaints) or 'no voxels'}.")
    power = Power(circuit, read_liberty(design.target.liberty))
    found = Measurement(
        power.parts(run.activity),
        run.activity,
        circuit,
        run.record,
        job.voxels,
        0,
        run.answers.cycles,
    )
    _check_accesses(design, program, found, tiles)
    return found


def _operands(circuit: Circuit) -> list[int]:
    """Slots of the inputs of the array's processing elements."""
    (group,) = (one for one in circuit.groups if one.path == "core.array.row.pe")
    ports = group.netlist.ports
    return [
        circuit.slot(group, bit)
        for name in ("activation_in", "weight_in", "done")
        for bit in ports[name][1]
    ]


def accesses(config, shape, tiles: int) -> dict[str, Accesses]:
    """Of so many voxel tiles in the midst of a job, by role."""
    one, two = (predict(shape, config, count * config.rows).memories for count in (8, 8 + tiles))
    return {
        role: Accesses(two[role].reads - one[role].reads, two[role].writes - one[role].writes)
        for role in one
    }


def _check_accesses(design, program: Program, found: Measurement, tiles: int) -> None:
    """What the macros did is what ``cycles.py`` says; ToolFailed else."""
    expected = accesses(design.config, program.shape, tiles)
    seen = dict.fromkeys(expected, (0, 0))
    wide = {memory.role: memory.wide for memory in design.memories.values()}
    for number, sram in enumerate(found.circuit.srams):
        role = design.memories[sram.group.module].role
        reads, writes = found.activity.reads[number], found.activity.writes[number]
        seen[role] = seen[role][0] + int(reads), seen[role][1] + int(writes)
    for role, due in expected.items():
        due = due.reads * wide[role], due.writes * wide[role]
        if seen[role] != due:
            raise ToolFailed(
                f"Macros of the {role} memory were read and written {seen[role]} times in the "
                f"window, not {due} as predicted."
            )


def block_of(path: str) -> str:
    """The block that an instance belongs to."""
    for name, begin in BLOCKS:
        if not begin or path == begin or path.startswith(f"{begin}."):
            return name
    raise AssertionError(path)


def measure(design, program: Program, clock_mhz: float, folder: Path | None = None) -> dict:
    """Power and energy of a decode.

    Parameters
    ----------
    design : Design
    program : Program
    clock_mhz : float
    folder : Path, optional
        Where ``energy.json`` is written: the result, and every group of instances.

    Returns
    -------
    dict
        ``power_mw``; ``pj_per_mac`` of a useful multiply-accumulate; ``nj_per_voxel``;
        ``mj_per_slice`` of 256 x 256 voxels; ``voxels_per_second``; ``voxels_per_joule``;
        ``blocks``: name to ``mw`` and its shares ``data_mw``, ``clock_mw``, ``sram_mw``,
        ``leakage_mw``; ``annotated``, the share of nets with activity; what was counted and what
        was left out.
    """
    started = perf_counter()
    found = simulate(design, program)
    result = summary(design, program, found, clock_mhz)
    result["seconds"] = perf_counter() - started
    if folder is not None:
        content = {**result, "instances": [asdict(part) for part in found.parts]}
        (Path(folder) / "energy.json").write_text(json.dumps(content, indent=2) + "\n")
    return result


def summary(design, program: Program, found: Measurement, clock_mhz: float) -> dict:
    """``measure``'s result from a measurement."""
    config, shape = design.config, program.shape
    slice_ = predict(shape, config, SLICE)
    blocks: dict[str, dict[str, float]] = {}
    for part in found.parts:
        block = blocks.setdefault(
            block_of(part.path),
            {"mw": 0.0, "data_mw": 0.0, "clock_mw": 0.0, "sram_mw": 0.0, "leakage_mw": 0.0},
        )
        block["data_mw"] += (part.switching + part.internal) * clock_mhz / 1000
        block["clock_mw"] += part.clock * clock_mhz / 1000
        block["leakage_mw"] += part.leakage_mw
    for memory in design.memories.values():  # from the exact counts of the whole slice
        counts = slice_.memories[memory.role]
        energy = counts.reads * memory.energy_pj(write=False)
        energy += counts.writes * memory.energy_pj(write=True)
        blocks[f"{memory.role} memory"]["sram_mw"] += energy / slice_.cycles * clock_mhz / 1000
    for block in blocks.values():
        block["mw"] = sum(share for name, share in block.items() if name != "mw")
    power_mw = sum(block["mw"] for block in blocks.values())
    slice_s = slice_.cycles / (clock_mhz * 1e6)
    slice_mj = power_mw * slice_s
    return {
        "clock_mhz": clock_mhz,
        "power_mw": power_mw,
        "pj_per_mac": slice_mj * 1e9 / slice_.useful,
        "nj_per_voxel": slice_mj * 1e6 / SLICE,
        "mj_per_slice": slice_mj,
        "voxels_per_second": SLICE / slice_s,
        "voxels_per_joule": SLICE / (slice_mj * 1e-3),
        "blocks": {name: blocks[name] for name, _ in BLOCKS if name in blocks},
        "annotated": annotated(found.circuit),
        "window_cycles": found.activity.cycles,
        "window_voxels": WINDOW_TILES * config.rows,
        "decoded_voxels": found.voxels,
        "mismatches": found.mismatches,
        "simulated_cycles": found.cycles,
        "activity": (
            f"every net of the whole netlist over {found.activity.cycles} cycles of a decode, "
            "all voxels equal to the golden model's"
        ),
        "library": f"{design.target.title}, {design.target.corner}",
        "memories": design.target.memories,
        "left_out": LEFT_OUT,
    }


def annotated(circuit: Circuit) -> float:
    """Share of the nets read by a cell or a macro whose activity was counted."""
    nets = sum(circuit.lanes[3:])
    return nets / (nets + circuit.undriven)
