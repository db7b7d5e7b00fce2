"""Simulation of a program on the generated hardware, compared with the golden model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Literal

import numpy as np

from implicore.accelerator_config import AcceleratorConfig
from implicore.atomic import make_folder, require_writable
from implicore.errors import BadInput
from implicore.grid import Grid
from implicore.model.volume import Volume
from implicore.process import ToolFailed
from implicore.program import Program
from implicore.registers import COUNTERS

from . import cosim, fast, session
from .picture import compare, save_comparison, save_planes
from .region import Region
from .script import Script
from .timeline import follow, save_timeline
from .waves import record

SIMULATORS = ("icarus", "verilator", "fast")


def simulate(
    program: Program,
    config: AcceleratorConfig,
    *,
    simulator: Literal["icarus", "verilator", "fast"] = "fast",
    grid: Grid | None = None,
    points: int | None = None,
    stall: float = 0.0,
    seed: int = 0,
    image: Volume | None = None,
    picture: str | Path | None = None,
    pictures: str | Path | None = None,
    timeline: str | Path | None = None,
    waves: str | Path | None = None,
) -> dict:
    """Decode voxels of a program on simulated hardware and compare each with the golden model.

    Parameters
    ----------
    program : Program
    config : AcceleratorConfig
        The hardware, which must fit the program.
    simulator : str
        ``icarus`` and ``verilator`` run the cocotb bench with cocotbext-axi on all ports, ``fast``
        runs the compiled simulator.
    grid : Grid, optional
        The grid to decode as a grid job; by default, the middle axial plane of the source image.
        A program with patches decodes those that the grid needs, see ``region.Region``.
    points : int, optional
        Decode this number of random points of the job as a point list instead. If neither
        grid nor points are given, a cocotb bench, which is slow, decodes two tiles of points.
    stall : float
        Probability, below 1, of a stall of each stream in each cycle.
    seed : int
        Seed of points and stalls.
    image : Volume, optional
        The source image, to show beside the decoded ones.
    picture : path, optional
        PNG file of one plane: source, golden model, hardware and their differences.
    pictures : path, optional
        Folder for the same pictures as PNG files, one pixel per voxel.
    timeline : path, optional
        CSV file of the hardware's counters over time, from a separate run.
    waves : path, optional
        VCD file of the first cycles of the job; a GTKWave save file is written beside it.

    Returns
    -------
    dict
        ``voxels``; ``mismatches``, the number of wrong or missing voxels; ``cycles`` by the
        hardware's counter; ``predicted_cycles``, exact without stalls; ``utilization``;
        ``cycles_per_second`` of the simulator; the other counters; ``build_seconds`` and
        ``seconds``; ``complaints``, a sentence per difference; ``agrees``, true if there are none.

    Raises
    ------
    BadInput
        The program does not fit, the simulator is not installed or an argument is out of range.
    """
    if simulator not in SIMULATORS:
        raise BadInput(f"The simulator must be one of {', '.join(SIMULATORS)}, not {simulator!r}.")
    if not 0 <= stall < 1:
        raise BadInput(f"The probability of a stall must be from 0 to below 1, not {stall:g}.")
    if points is not None and points < 1:
        raise BadInput(f"There must be at least 1 point, not {points}.")
    for path, ending, kind in (
        (picture, ".png", "picture"),
        (timeline, ".csv", "timeline"),
        (waves, ".vcd", "waveform"),
    ):
        if path and Path(path).suffix.lower() != ending:
            raise BadInput(f"A {kind} is written as {ending}, not as {Path(path).name}.")
        if path:
            require_writable(path)
    config.check_fits(program)
    if grid is None and points is None and simulator != "fast":
        points = 2 * config.rows
    region = Region(program, grid)
    if (picture or pictures) and (points is not None or region.grid.shape[2] != 1):
        raise BadInput("A picture shows one plane: choose a plane and no points.")
    if timeline and (points is not None or simulator != "fast" or stall):
        raise BadInput(
            "A timeline needs a grid, the fast simulator and no stalls: remove the other options."
        )
    if pictures:
        pictures = make_folder(pictures)
    job, outputs = region.job, program.shape.outputs
    if job.voxels * outputs > 1 << 31:
        raise BadInput(
            f"The grid needs {job.voxels * outputs} voxels; a simulation holds at most {1 << 31}."
        )

    script = Script(config, stall)
    script.load(program)
    begin = len(script.operations)
    if points is None:
        script.grid(job)
    else:
        numbers = np.random.default_rng(seed).integers(0, job.voxels, points)
        index = np.stack(np.unravel_index(numbers, job.shape, order="F"), axis=-1)
        script.points(job.at(index))

    started = perf_counter()
    if simulator == "fast":
        simulation: fast.FastSimulator | cosim.CocotbSimulator = fast.build(config)
    else:
        simulation = cosim.build(config, simulator)
    built = perf_counter()
    try:
        responses = simulation.run(script.operations, stall=stall, seed=seed)
        complaints = script.mismatches(responses)
    except ToolFailed as error:  # a protocol violation, without responses
        responses = _no_responses(script.operations)
        complaints = str(error).splitlines()
    ended = perf_counter()

    counters: dict[str, int] = {}
    golden = decoded = np.empty(0, np.uint16)
    for operation, expected, value in zip(
        script.operations[begin:], script.expected[begin:], responses.values[begin:], strict=True
    ):
        if isinstance(operation, session.Read):
            counters[operation.name] = value
        elif isinstance(operation, session.Decode):
            golden, decoded = expected.voxels, value.voxels
    received = np.full(len(golden), -1)
    received[: len(decoded)] = decoded[: len(golden)]
    if waves:
        record(config, script.operations, begin, Path(waves), stall=stall, seed=seed)
    if timeline:
        save_timeline(timeline, follow(config, script.operations, begin, counters["cycles"]))
    mismatches = int((received != golden).sum())
    if picture or pictures:
        golden_plane, received_plane = (
            region.show(voxels)[:, :, 0] for voxels in (golden, received)
        )
        panels = compare(program, region.grid, golden_plane, received_plane, image)
        if picture:
            save_comparison(picture, panels, mismatches)
        if pictures:
            save_planes(pictures, panels)
    slots = config.rows * config.columns * counters["cycles"]
    return {
        "simulator": simulator,
        "voxels": len(golden),
        "mismatches": mismatches,
        "cycles": counters["cycles"],
        "predicted_cycles": script.prediction(len(golden) // outputs).cycles,
        "utilization": counters["useful_macs"] / slots if slots else 0.0,
        "cycles_per_second": responses.cycles / responses.seconds if responses.seconds else 0.0,
        **{name: counters[name] for name in COUNTERS if name != "cycles"},
        "simulated_cycles": responses.cycles,
        "build_seconds": built - started,
        "seconds": ended - started,
        "complaints": complaints,
        "agrees": not complaints,
    }


def _no_responses(operations: Sequence) -> session.Responses:
    """Return the responses of hardware that delivers no voxel and reads as 0."""
    missing = session.Decoded(np.empty(0, np.uint16), ended=False)
    values = [missing if isinstance(each, session.Decode) else 0 for each in operations]
    return session.Responses(values, 0, 0.0)
