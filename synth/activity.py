"""Gate-level simulation of an accelerator or a part of it, which counts the activity of each net.

Cells have no delays: every net settles once a cycle, so glitches do not occur. ``sim/fast.cpp``
drives the netlist as it drives the verilated accelerator, from reset through the loading of a
program to the last voxel.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from implicore.cache import cached
from implicore.errors import BadInput
from implicore.process import Tool, run
from implicore.sim import fast, session

from .blocks import TOP
from .circuit import Circuit
from .gates import encode
from .netlist import Netlist

HERE = Path(__file__).parent
COMPILER = "c++"
STATES = 6
"""Number of counts per flip-flop, see ``Activity.joint``."""
OPTIONS = ["-std=c++17", "-O2", "-Wno-unused"]


@dataclass(frozen=True)
class Activity:
    """Counts over a window of cycles, all bit lanes together.

    Attributes
    ----------
    cycles : int
        Length of the window.
    toggles, highs : ndarray of shape (nets,)
        Changes of each net, and cycles in which it was high.
    joint : ndarray of shape (flip-flops, 6)
        Cycles in which D, Q, and both were high: first among cycles that ended with an edge of the
        flip-flop's clock, then among cycles that began with one.
    reads, writes : ndarray of shape (SRAMs,)
    """

    cycles: int
    toggles: np.ndarray
    highs: np.ndarray
    joint: np.ndarray
    reads: np.ndarray
    writes: np.ndarray

    @classmethod
    def read(cls, path: Path, circuit: Circuit) -> Activity:
        """Read the counts that ``gates.h`` wrote."""
        words = np.fromfile(path, np.uint64).astype(np.int64)
        nets, flops, srams = len(circuit.bit_lanes), len(circuit.flops), len(circuit.srams)
        cuts = np.cumsum([1, nets, nets, STATES * flops, srams, srams])
        cycles, toggles, highs, joint, reads, writes, _ = np.split(words, cuts)
        return cls(int(cycles[0]), toggles, highs, joint.reshape(flops, STATES), reads, writes)


def _executable(name: str, circuit: Circuit, files: Mapping[str, str], sources: list) -> Path:
    """Compile a program around ``gates.h`` for the gates of a library, or find it in the cache."""
    if shutil.which(COMPILER) is None:
        raise BadInput("Gate-level simulation needs a C++ compiler: apt-get install g++.")
    cells = "".join(
        f"CELL({number}, {_arity(function)}, {function})\n"
        for number, function in enumerate(circuit.functions)
    )
    files = {**files, "cells.h": cells}
    headers = [HERE / "gates.h", HERE / "accelerator.h"]

    def make(folder: Path) -> None:
        for file, content in files.items():
            (folder / file).write_text(content, encoding="utf-8")
        includes = [f"-I{folder}", f"-I{HERE}"]
        run([COMPILER, *OPTIONS, *includes, *sources, "-o", folder / name], folder)

    return cached(name, [COMPILER, OPTIONS, files, [*sources, *headers]], make) / name


def _arity(function: str) -> int:
    return max((number + 1 for number in range(16) if f"x({number})" in function), default=0)


@dataclass(frozen=True)
class Window:
    """The window in which activity is counted.

    Attributes
    ----------
    first, last : int
        Delivered voxels at which the window opens and closes: in the cycle after the beat with the
        last of them.
    nets, bit_lanes : tuple of int
        Nets and bit lanes whose levels are recorded in every cycle of the window.
    """

    first: int
    last: int
    nets: tuple[int, ...] = ()
    bit_lanes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Run:
    """The result of a gate-level session.

    Attributes
    ----------
    responses : session.Responses
    activity : Activity or None
        None if the window was not reached.
    record : ndarray of bool, shape (cycles, nets, bit lanes)
    """

    responses: session.Responses
    activity: Activity | None
    record: np.ndarray


def decode(circuit: Circuit, operations: list, window: Window, *, seed: int = 0) -> Run:
    """Run a session on a gate-level accelerator.

    Parameters
    ----------
    circuit : Circuit
        The whole accelerator.
    operations : list of the operations in ``sim.session``
    window : Window
    seed : int
        Seed of the flip-flops' state at power-up; 0 for all low.
    """
    ports = circuit.groups[0].netlist.ports
    ways = ("input", "output")
    lines = "".join(
        f"{way.upper()}({name}, {len(bits)})\n"
        for way in ways
        for name, (direction, bits) in ports.items()
        if direction == way
    )
    keep = "m_axis_voxels_tkeep"  # two octets for each voxel
    voxels = f"__builtin_popcount({keep}) / 2" if keep in ports else "1"
    files = {
        "ports.h": lines,
        "Vimplicore.h": f'#define VOXELS_IN_BEAT ({voxels})\n#include "accelerator.h"\n',
        "verilated.h": "#pragma once\nstruct VerilatedContext {};\n",
    }
    executable = _executable("gates", circuit, files, [fast.DRIVER])
    nets = [
        net
        for way in ways
        for name, (direction, _) in ports.items()
        if direction == way
        for net in circuit.port(name)
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        encode(circuit).tofile(folder / "circuit")
        np.array(nets, np.uint32).tofile(folder / "ports")
        plan = [seed, window.first, window.last, len(window.nets), *window.nets, *window.bit_lanes]
        np.array(plan, np.uint32).tofile(folder / "window")
        session.encode(operations, 0.0, 0).astype("<u4").tofile(folder / "session")
        tool = Tool(str(executable), "", {"GATES": name})
        run([executable, "session", "responses"], folder, tool)
        responses = session.decode(np.fromfile(folder / "responses", "<u4"), operations)
        if not (folder / "activity").is_file():
            return Run(responses, None, np.zeros((0, 0, 0), bool))
        record = _read_bits(folder / "record", len(window.nets), len(window.bit_lanes))
        return Run(responses, Activity.read(folder / "activity", circuit), record)


def replay(
    circuit: Circuit, inputs: Mapping[str, np.ndarray], *, first: int = 0
) -> tuple[dict[str, np.ndarray], Activity]:
    """Drive a circuit with given inputs.

    Parameters
    ----------
    circuit : Circuit
    inputs : mapping of str to integers of shape (cycles, bit lanes)
        Levels of each input port but the clock.
    first : int
        Cycle from which activity is counted.

    Returns
    -------
    outputs : dict of str to ndarray of shape (cycles, bit lanes)
        Levels before each clock edge, unsigned.
    activity : Activity
    """
    ports = circuit.groups[0].netlist.ports
    bit_lanes = circuit.groups[0].bit_lanes
    given = [name for name, (way, _) in ports.items() if way == "input" and name != "clk"]
    if set(given) != set(inputs):
        raise ValueError(f"The circuit's inputs are {sorted(given)}, not {sorted(inputs)}.")
    cycles = len(next(iter(inputs.values())))
    packed = [_pack(inputs[name], len(ports[name][1])) for name in given]
    outputs = [name for name, (way, _) in ports.items() if way == "output"]
    nets = [net for name in given for net in circuit.port(name)]
    output_nets = [net for name in outputs for net in circuit.port(name)]
    executable = _executable("replay", circuit, {}, [HERE / "replay.cpp"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        encode(circuit).tofile(folder / "circuit")
        np.array([cycles, first, len(nets), *nets, *output_nets], np.uint32).tofile(folder / "plan")
        np.concatenate(packed, axis=1).tofile(folder / "inputs")
        run([executable, "."], folder)
        bits = _read_bits(folder / "outputs", len(output_nets), bit_lanes)
        activity = Activity.read(folder / "activity", circuit)
    return numbers(bits, {name: len(ports[name][1]) for name in outputs}), activity


def numbers(bits: np.ndarray, widths: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Split recorded bits into unsigned numbers of shape (cycles, bit lanes).

    Parameters
    ----------
    bits : ndarray of shape (cycles, bits, bit lanes)
        The least significant bit of each number first.
    widths : mapping of str to int
        Bits of each number, in the order of ``bits``.
    """
    found, place = {}, 0
    for name, width in widths.items():
        weights = 1 << np.arange(width, dtype=np.int64)
        found[name] = np.einsum("cbl,b->cl", bits[:, place : place + width], weights)
        place += width
    return found


def _pack(values: np.ndarray, width: int) -> np.ndarray:
    """Pack the bits of a port into words: octets of shape (cycles, width * words * 8)."""
    values = np.asarray(values, np.int64)
    bits = values[:, None, :] >> np.arange(width)[None, :, None] & 1
    rest = -bits.shape[2] % 64
    bits = np.pad(bits.astype(np.uint8), ((0, 0), (0, 0), (0, rest)))
    return np.packbits(bits, axis=2, bitorder="little").reshape(len(values), -1)


def _read_bits(path: Path, nets: int, bit_lanes: int) -> np.ndarray:
    """Read recorded bits, shape (cycles, nets, bit lanes)."""
    if not nets:
        return np.zeros((0, 0, bit_lanes), bool)
    octets = np.fromfile(path, np.uint8).reshape(-1, nets, 8 * -(-bit_lanes // 64))
    return np.unpackbits(octets, axis=2, count=bit_lanes, bitorder="little").astype(bool)


def netlists_of(design) -> dict[str, Netlist]:
    """Return the netlists of a mapped accelerator by module; the test enable of the top is 0."""
    found = {
        name: Netlist.read(mapped.folder / "netlist.json", name)
        for name, mapped in design.modules.items()
    }
    return found | {TOP: found[TOP].tied_off()}
