"""Power by block, and energy of a multiply-accumulate, a voxel and a slice, from a decode.

The whole accelerator in gates decodes points across the middle of the program's image. Every voxel
is compared with the golden model. The activity of every net is counted over some whole voxel tiles,
once the pipeline is full.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import gcd
from pathlib import Path

import numpy as np

from implicore.atomic import write_json
from implicore.cycles import Accesses, Prediction, predict
from implicore.job import GridJob
from implicore.network_shape import NetworkShape
from implicore.patch import POINT
from implicore.process import ToolFailed
from implicore.program import Program
from implicore.sim.script import Script

from . import activity, baseline
from .blocks import BLOCKS
from .circuit import CLOCK, Circuit
from .liberty import read_liberty
from .memories import Memory
from .power import Part, Power
from .slews import CLOCK_SLEW_NS

WINDOW_TILES = 2
"""Voxel tiles over which activity is counted."""
MARGIN_TILES = 3
"""Tiles decoded outside the window: one before it, two after it to keep the mapper active."""
SLICE = 256 * 256
"""Voxels of a slice, and points of the job that a slice's energy is a part of."""
SHARES = ("data_mw", "clock_mw", "sram_mw", "leakage_mw")

PES = "core.array.row.pe"
SAMPLE = 64
"""Number of processing elements, spread over the array, whose operands are recorded."""


@dataclass(frozen=True)
class Measurement:
    """Activity and energy of a decode.

    Attributes
    ----------
    parts : list of Part
    activity : Activity
    circuit : Circuit
    operands : dict of str to ndarray of shape (cycles, pes)
        Inputs of a sample of the array's processing elements.
    voxels, cycles : int
        Voxels decoded, all equal to the golden model's; cycles simulated, loading included.
    """

    parts: list[Part]
    activity: activity.Activity
    circuit: Circuit
    operands: dict[str, np.ndarray]
    voxels: int
    cycles: int


def long_job(shape: NetworkShape, config) -> Prediction:
    """Return the prediction of a job of ``SLICE`` points: a slice of single voxels, or a volume."""
    return predict(shape, config, SLICE * shape.outputs)


def line(program: Program, points: int) -> GridJob:
    """Return a job of points across the middle of the image.

    Single voxels are evenly spread over the middle line of the middle plane. Patches are those of
    the lattice's middle lines in its middle plane: whole lines, so there may be more of them than
    ``points``. A plane of too few lines gives its middle line repeatedly.
    """
    if program.patch == POINT:
        plane = GridJob.of(program.grid.middle_plane(), program.frame)
        width, height, _ = plane.shape
        first, shape = [0, height // 2, 0], (points, 1, 1)
        along = np.array(plane.steps[0]) * (width - 1) // max(1, points - 1)
        across = np.zeros(3, int)
    else:
        plane = GridJob.of(program.lattice.grid, program.frame)
        width, height, depth = plane.shape
        lines = -(-points // width)
        enough = lines <= height
        first = [0, (height - lines) // 2 if enough else height // 2, depth // 2]
        shape = width, lines, 1
        along, across = np.array(plane.steps[0]), np.array(plane.steps[1]) * enough
    origin = np.array(plane.origin) + np.array(first) @ np.array(plane.steps)
    steps = tuple(along.tolist()), tuple(across.tolist()), (0, 0, 0)
    return GridJob(shape, tuple(origin.tolist()), steps)


def circuit_of(design) -> Circuit:
    """Return the circuit of a whole mapped accelerator."""
    macros = {
        name: macro for memory in design.memories.values() for name, macro in memory.macros.items()
    }
    cells = read_liberty(design.target.liberty).cells
    return Circuit("implicore", activity.netlists_of(design), cells, macros)


def simulate(design, program: Program, *, tiles: int = WINDOW_TILES, seed: int = 1) -> Measurement:
    """Decode a line of points at gate level.

    Parameters
    ----------
    design : Design
    program : Program
    tiles : int
        Voxel tiles over which activity is counted; more if they do not end with a full beat.
    seed : int
        Seed of the flip-flops' state at power-up.

    Raises
    ------
    ToolFailed
        A voxel or the number of accesses to a memory is wrong.
    """
    config = design.config
    config.check_fits(program)
    tile = config.rows * program.shape.outputs  # voxels
    tiles = whole_beats(tiles, tile, config.voxels_per_beat)
    circuit = circuit_of(design)
    script = Script(config)
    script.load(program)
    job = line(program, (tiles + MARGIN_TILES) * config.rows)
    script.grid(job)
    pe = next(group for group in circuit.groups if group.path == PES)
    ports = [port for port, (way, _) in pe.netlist.ports.items() if way == "input"]
    ports = {port: pe.netlist.ports[port][1] for port in ports if port != "clk"}
    window = activity.Window(
        tile,
        (1 + tiles) * tile,
        tuple(circuit.net(pe, bit) for bits in ports.values() for bit in bits),
        tuple(sorted({*np.linspace(0, pe.bit_lanes - 1, SAMPLE).round().astype(int).tolist()})),
    )
    run = activity.decode(circuit, script.operations, window, seed=seed)
    mismatches = script.mismatches(run.responses)
    if mismatches or run.activity is None:
        raise ToolFailed(
            f"The netlist does not decode correctly: {'; '.join(mismatches) or 'no voxels'}."
        )
    power = Power(circuit, read_liberty(design.target.liberty))
    found = Measurement(
        power.parts(run.activity),
        run.activity,
        circuit,
        activity.numbers(run.record, {port: len(bits) for port, bits in ports.items()}),
        job.voxels * program.shape.outputs,
        run.responses.cycles,
    )
    _check_accesses(design, program, found, tiles)
    return found


def whole_beats(tiles: int, tile: int, voxels_per_beat: int) -> int:
    """Return the smallest number of at least ``tiles`` tiles whose voxels fill beats.

    A window then opens and closes at the same place of a tile.
    """
    period = voxels_per_beat // gcd(tile, voxels_per_beat)
    return -(-tiles // period) * period


def accesses(config, shape, tiles: int) -> dict[str, Accesses]:
    """Return the memory accesses of this many voxel tiles within a job, by role."""
    tile = config.rows * shape.outputs
    short, long = (predict(shape, config, n * tile).memories for n in (8, 8 + tiles))
    return {
        role: Accesses(long[role].reads - short[role].reads, long[role].writes - short[role].writes)
        for role in short
    }


def _check_accesses(design, program: Program, found: Measurement, tiles: int) -> None:
    """Compare the accesses to the macros with those that ``cycles.py`` predicts."""
    expected = accesses(design.config, program.shape, tiles)
    seen = dict.fromkeys(expected, (0, 0))
    wide = {memory.role: memory.wide for memory in design.memories.values()}
    for number, sram in enumerate(found.circuit.srams):
        role = design.memories[sram.group.module].role
        reads, writes = found.activity.reads[number], found.activity.writes[number]
        seen[role] = seen[role][0] + int(reads), seen[role][1] + int(writes)
    for role, counts in expected.items():
        predicted = counts.reads * wide[role], counts.writes * wide[role]
        if seen[role] != predicted:
            raise ToolFailed(
                f"Macros of the {role} memory were read and written {seen[role]} times in the "
                f"window, not {predicted} as predicted."
            )


def measure(design, program: Program, clock_mhz: float, folder: Path | None = None) -> dict:
    """Return the power and energy of a decode.

    Parameters
    ----------
    design : asic.Design
    program : Program
    clock_mhz : float
    folder : Path, optional
        Folder for ``energy.json``: the result, and the energy of each group of instances.

    Returns
    -------
    dict
        ``power_mw``; ``pj_per_mac`` of a useful multiply-accumulate; ``nj_per_voxel``;
        ``mj_per_slice`` of 256 x 256 voxels; ``voxels_per_second``; ``voxels_per_joule``;
        ``power_blocks``, block to ``power_mw`` and its shares ``data_mw``, ``clock_mw``,
        ``sram_mw`` and ``leakage_mw``; ``pe_pj``, one processing element's share of a cycle;
        ``bare``, the multiply-accumulate alone on the same operands (``baseline.compare``);
        ``annotated``, the share of nets with activity; ``activity``, a description of the counts.
    """
    found = simulate(design, program)
    result = summary(design, program, found, clock_mhz)
    result["bare"] = baseline.compare(design, found.operands, result, clock_mhz)
    if folder is not None:
        content = {**result, "instances": [asdict(part) for part in found.parts]}
        write_json(Path(folder) / "energy.json", content)
    return result


def summary(design, program: Program, found: Measurement, clock_mhz: float) -> dict:
    """Return the result of ``measure`` without the bare multiply-accumulate."""
    config, shape = design.config, program.shape
    job = long_job(shape, config)
    blocks: dict[str, dict[str, float]] = {}
    for block, part in zip(blocks_of(design, found.circuit), found.parts, strict=True):
        sums = blocks.setdefault(block, dict.fromkeys(SHARES, 0.0))
        sums["data_mw"] += (part.switching + part.internal) * clock_mhz / 1000
        sums["clock_mw"] += part.clock * clock_mhz / 1000
        sums["leakage_mw"] += part.leakage_mw
    for memory in design.memories.values():
        blocks[f"memory {memory.role}"]["sram_mw"] += sram_mw(memory, job, clock_mhz)
    (pe,) = (part for part in found.parts if part.path == PES)
    return {
        **costs(blocks, job, clock_mhz),
        "pe_pj": (pe.pj + pe.leakage_mw / clock_mhz * 1000) / pe.instances,
        "annotated": annotated(found.circuit),
        "activity": (
            f"all nets of the whole netlist in {found.activity.cycles} cycles of a decode of "
            f"{found.voxels} voxels across the image, each equal to the golden model's; "
            f"the clock and the inputs have a slew of {CLOCK_SLEW_NS} ns"
        ),
    }


def sram_mw(memory: Memory, job: Prediction, clock_mhz: float) -> float:
    """Return the power of all macros of a memory, from the exact accesses of a job."""
    counts = job.memories[memory.role]
    energy = counts.reads * memory.energy_pj(write=False)
    energy += counts.writes * memory.energy_pj(write=True)
    return energy / job.cycles * clock_mhz / 1000


def costs(blocks: dict[str, dict[str, float]], job: Prediction, clock_mhz: float) -> dict:
    """Return the metrics of a decode at this power.

    Parameters
    ----------
    blocks : dict
        Block to its ``SHARES``.
    job : Prediction
        See ``long_job``.
    clock_mhz : float

    Returns
    -------
    dict
        As in ``measure``, from ``power_mw`` to ``power_blocks``.
    """
    power_mw = sum(sum(shares.values()) for shares in blocks.values())
    job_s = job.cycles / (clock_mhz * 1e6)
    job_mj = power_mw * job_s
    return {
        "power_mw": power_mw,
        "pj_per_mac": job_mj * 1e9 / job.useful_macs,
        "nj_per_voxel": job_mj * 1e6 / job.voxels,
        "mj_per_slice": job_mj * (SLICE / job.voxels),
        "voxels_per_second": job.voxels / job_s,
        "voxels_per_joule": job.voxels / (job_mj * 1e-3),
        "power_blocks": {
            block: {"power_mw": sum(shares.values()), **shares} for block, shares in blocks.items()
        },
    }


def blocks_of(design, circuit: Circuit) -> list[str]:
    """Return the block of each group of instances."""
    found: dict[int, str] = {}
    for group in circuit.groups:  # parents come first
        if group.module in design.memories:
            block = f"memory {design.memories[group.module].role}"
        else:
            block = BLOCKS.get(group.module) or found[id(group.parent)]
        found[id(group)] = block
    return list(found.values())


def annotated(circuit: Circuit) -> float:
    """Return the share of the nets that are read whose activity was counted."""
    nets = sum(circuit.bit_lanes[CLOCK + 1 :])
    return nets / (nets + circuit.undriven)
