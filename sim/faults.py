"""Bit flips in the state of the generated Verilog, in a compiled simulator of their own.

Every register and every bit of a memory of the Verilog can be flipped, in any cycle of a job.
Verilator keeps exactly these variables writable and evaluates the logic behind them when they
change. ``faults.cpp`` loads the program, starts the job, flips the bit, and finds out what the
accelerator needs to decode the next job right.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from implicore.accelerator_config import AcceleratorConfig
from implicore.cycles import predict
from implicore.host import grid_writes
from implicore.job import GridJob
from implicore.model.golden import Renderer
from implicore.process import run
from implicore.program import Program
from implicore.registers import addresses, masks
from implicore.stream import program_stream

from .simulators import compiled, verilog

DRIVER = Path(__file__).with_name("faults.cpp")

PROGRAM_MEMORIES = ("weights", "constants", "coefficients")
"""Roles of the memories that hold a program, each of which is a class."""

MEMORIES = {
    **{role: role for role in PROGRAM_MEMORIES},
    "hidden": "activations",
    "features": "features",
}
"""Class of a memory, by its role."""

DATA = {
    "processing_element": r"weight_out|activation_out|product",
    "array_row": r"sum",
    "requantizer": r".*",
    "sin_cos_table": r"base.*|value|slope.*|total|start.*|rise.*",
    "fourier_lane": r"coordinates|operand|coordinate|low|high|product|total|phase",
    "word_decoder": r"codeword.*",
    "column_unit": r"weight_.*|data_.*",
    "row_unit": r"drain_(coarse|fine|offset|multiplier|output_weight).*",
    "core": r"(coarse|fine|offset|multiplier|output_weight)_.*|voxel_buffer_value",
    "fourier_mapper": r"lane_\d+_point",
    "voxel_buffer": r"array|read_.*",
    "voxel_bank": r".*",
    "voxel_packer": r".*value.*",
}
"""Registers of class ``data``, by module: operands and results on their way. The words at the read
ports of memories are data as well."""

CLASSES = (*PROGRAM_MEMORIES, "activations", "features", "accumulators", "data", "control")
"""Classes of state. ``accumulators`` are those of the processing elements; ``control`` is whatever
no other class has, including the registers of the bus."""

NEEDS = ("nothing", "abort", "reload", "reset", "no recovery")
"""What the accelerator needs to decode the next job right, in the order in which it is tried: an
abort; the program again; a reset and the program again."""

LIMIT = 2.0
"""Time after which a job hangs, relative to the predicted cycles."""


@dataclass(frozen=True)
class State:
    """A register, or a memory, of an instance in the Verilog.

    Attributes
    ----------
    scope, name : str
        Path of the instance, and name of the variable there.
    kind : str
        One of ``CLASSES``.
    words, bits : int
        Number and width of the words; a register has one.
    """

    scope: str
    name: str
    kind: str
    words: int
    bits: int


@dataclass(frozen=True)
class Flip:
    """A bit of a state, and the cycle of the job, from its start command, in which it changes."""

    state: State
    word: int
    bit: int
    cycle: int


@dataclass(frozen=True)
class Outcome:
    """What a flip did.

    Attributes
    ----------
    ends : bool
        Whether the job's last voxel came.
    port : bool
        Whether the register port answered after the job.
    corrected, errors : int
        The registers ``memory_corrected`` and ``memory_errors``.
    events : set of str
        Fields of the register ``interrupt`` that were set.
    needs : str
        One of ``NEEDS``.
    voxels : uint16 array or None
        None if they are those without the flip.
    """

    ends: bool
    port: bool
    corrected: int
    errors: int
    events: frozenset[str]
    needs: str
    voxels: np.ndarray | None


def states_of(config: AcceleratorConfig) -> list[State]:
    """Return all registers and memories of a configuration's Verilog, instance by instance."""
    modules = _modules(config)
    variables = {name: list(_variables(name, body)) for name, body in modules.items()}
    found: list[State] = []

    def visit(module: str, scope: str) -> None:
        found.extend(State(scope, *variable) for variable in variables[module])
        for child, label in re.findall(r"^  (\w+) \\?(\w+) +\($", modules[module], re.M):
            if child in modules:
                visit(child, f"{scope}.{label}")

    visit("implicore", "TOP.implicore")
    return found


def _modules(config: AcceleratorConfig) -> dict[str, str]:
    """Return the text of each module of a configuration's Verilog."""
    text = "".join(path.read_text(encoding="utf-8") for path in verilog(config))
    modules = re.finditer(r"^module (\w+).*?^endmodule$", text, re.M | re.S)
    return {found[1]: found[0] for found in modules}


def _variables(module: str, body: str) -> Iterator[tuple[str, str, int, int]]:
    """Yield name, class, words and bits of the registers and memories of a module."""
    short = re.sub(r"_\d+$", "", module.removeprefix("implicore_"))
    role = short.removeprefix("ram_") if short.startswith("ram_") else ""
    for width, name, last, first in re.findall(
        r"^ +reg (?:\[(\d+):0\] )?(\w+) \[(\d+):(\d+)\];", body, re.M
    ):
        if re.search(rf"\b{name}\[.*\] *<=", body):  # a ROM is logic
            words = abs(int(first) - int(last)) + 1
            yield name, MEMORIES.get(role) or _kind(short, name), words, int(width or 0) + 1
    clocked = r"^ +always @\(posedge clk\)(?: begin)?\n((?:(?! +always|endmodule).*\n)*)"
    assigned = re.findall(clocked, body, re.M)
    names = dict.fromkeys(re.findall(r"(?:^ +|\) )(\w+) <=", "".join(assigned), re.M))
    for name in names:
        width = re.search(rf"\breg (?:\[(\d+):0\] )?{name}\b(?! \[)", body)
        if width:
            yield name, "data" if role else _kind(short, name), 1, int(width[1] or 0) + 1


def _kind(module: str, name: str) -> str:
    if (module, name) == ("processing_element", "sum"):
        return "accumulators"
    return "data" if re.fullmatch(DATA.get(module, ""), name) else "control"


def random_flips(states: Sequence[State], kind: str, count: int, cycles: int, rng) -> list[Flip]:
    """Draw flips of a class: every bit as often as any other, in any cycle of the job.

    With more flips than bits, every bit is flipped before one is flipped again.
    """
    chosen = [state for state in states if state.kind == kind]
    ends = np.cumsum([state.words * state.bits for state in chosen])
    rounds = [rng.permutation(ends[-1]) for _ in range(-(-count // int(ends[-1])))]
    flips = []
    for place in np.concatenate(rounds)[:count].tolist():
        number = int(np.searchsorted(ends, place, "right"))
        state = chosen[number]
        word, bit = divmod(place - (int(ends[number - 1]) if number else 0), state.bits)
        flips.append(Flip(state, word, bit, int(rng.integers(1, cycles))))
    return flips


@dataclass(frozen=True)
class FaultSimulator:
    """A compiled simulator of an accelerator whose state can be flipped."""

    config: AcceleratorConfig
    executable: Path

    def run(
        self, program: Program, job: GridJob, check: GridJob, flips: Sequence[Flip]
    ) -> list[Outcome]:
        """Run ``job`` once with each flip, and then ``check`` until it is right."""
        at, golden = addresses(), Renderer(program)
        cycles = job_cycles(self.config, program, job)
        words = [at["control"], masks("control")["start_grid"], masks("control")["abort"]]
        words += [at[name] for name in ("interrupt", "error", "memory_corrected", "memory_errors")]
        words += [int(LIMIT * cycles), self.config.abort_latency + 16]
        words += _counted(program_stream(program, self.config).tolist())
        for each in (job, check):
            words += _counted([word & 0xFFFFFFFF for pair in grid_writes(each) for word in pair])
            words += _counted(golden.voxels(each.coordinates(0, each.voxels)).tolist())
        words.append(len(flips))
        for flip in flips:
            words += [*_text(flip.state.scope), *_text(flip.state.name)]
            words += [flip.word, flip.bit, flip.cycle]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            np.array(words, "<u4").tofile(folder / "experiments")
            run([self.executable, folder / "experiments", folder / "results"], folder)
            return list(_outcomes(np.fromfile(folder / "results", "<u4")))


def job_cycles(config: AcceleratorConfig, program: Program, job: GridJob) -> int:
    """Return the predicted cycles of a job."""
    return predict(program.shape, config, job.voxels * program.shape.outputs).cycles


def _counted(words: list[int]) -> list[int]:
    return [len(words), *words]


def _text(text: str) -> list[int]:
    """Return a text in words, with at least one zero byte at its end."""
    data = text.encode() + b"\0"
    return _counted(np.frombuffer(data + b"\0" * (-len(data) % 4), "<u4").tolist())


def _outcomes(words: np.ndarray) -> Iterator[Outcome]:
    position = 0
    while position < len(words):
        ends, port, corrected, errors, events, needs, count = words[
            position : position + 7
        ].tolist()
        position += 7
        voxels = None
        if count:
            voxels = words[position : position + count - 1].astype(np.uint16)
            position += count - 1
        happened = frozenset(n for n, mask in masks("interrupt").items() if events & mask)
        yield Outcome(bool(ends), bool(port), corrected, errors, happened, NEEDS[needs], voxels)


def build(config: AcceleratorConfig, *, optimize: bool = True) -> FaultSimulator:
    """Return the simulator of a configuration with writable state, from the cache if possible."""
    writable = ["`verilator_config"]
    for module, body in _modules(config).items():
        names = (name for name, *_ in _variables(module, body))
        writable += [f'public_flat_rw -module "{module}" -var "{name}"' for name in names]
    executable = compiled(
        "faults",
        "implicore",
        [*verilog(config), DRIVER],
        options=["--vpi", "--noassert", "--x-assign", "fast", "--x-initial", "fast"],
        texts={"state.vlt": "\n".join(writable) + "\n"},
        optimize=optimize,
    )
    return FaultSimulator(config, executable)
