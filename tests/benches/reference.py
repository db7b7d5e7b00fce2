"""Reference models of components: what their outputs must be, in which cycle.

Sine tables, features, voxels, coordinates, requantization and the cycles of a job have their
reference in ``implicore`` itself.
"""

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

import numpy as np

from implicore.accelerator_config import AcceleratorConfig
from implicore.dataflow import (
    PE_LATENCY,
    array_layers,
    output_layer_bypasses_array,
    output_mac_latency,
    requantizer_latency,
)
from implicore.fixed import requantize
from implicore.formats import Formats
from implicore.hw.memory import address_bits
from implicore.hw.requantizer import Requantizer
from implicore.hw.row import drain_layout, gated_fields
from implicore.hw.voxel_bank import lane_bits, voxel_address_bits
from implicore.job import GridJob, pack_points
from implicore.network_shape import NetworkShape
from implicore.program import Program
from implicore.stream import constant_fields, constants, weight_writes


def shape_fields(shape: NetworkShape) -> dict[str, int]:
    """Return the fields of ``shape_layout`` for a network."""
    last_output = {"last_output": shape.outputs - 1} if shape.outputs > 1 else {}
    return {
        "last_frequency": shape.frequencies - 1,
        "last_neuron": shape.width - 1,
        "last_layer": shape.depth - 1,
        "skips": sum(1 << (layer - 1) for layer in shape.skips),
        **last_output,
    }


def point_payloads(points: np.ndarray) -> list[int]:
    """Return the payloads of a job's points, as the core and its mapper take them."""
    payloads = pack_points(points).tolist()
    payloads[-1] |= 1 << 48
    return payloads


def grid_fields(job: GridJob) -> dict:
    """Return the fields of ``GRID`` for a job."""
    return {
        "size_minus_one": [count - 1 for count in job.shape],
        "origin": list(job.origin),
        "increments": [list(vector) for vector in job.increments],
    }


class MemoryWrite(NamedTuple):
    """A write to a memory of the program.

    ``memory`` is the prefix of the fields of ``store_layout``. ``enables`` has one bit for each
    bank of weights, and is 1 for the other memories.
    """

    memory: str
    enables: int
    address: int
    word: int | list | dict

    @property
    def fields(self) -> dict:
        """The fields of ``store_layout``."""
        enable = "weight_enables" if self.memory == "weight" else f"{self.memory}_enable"
        return {
            enable: self.enables,
            f"{self.memory}_address": self.address,
            self.memory: self.word,
        }


def memory_writes(program: Program, config: AcceleratorConfig) -> Iterator[MemoryWrite]:
    """Yield the writes that put a program into the memories, in the order of its stream."""
    for address, coefficient in enumerate(program.frequencies.ravel().tolist()):
        yield MemoryWrite("coefficient", 1, address, coefficient)
    for address, neuron in enumerate(constants(program)):
        yield MemoryWrite("constant", 1, address, constant_fields(*neuron, program.formats))
    for banks, address, words in weight_writes(program, config):
        yield MemoryWrite("weight", banks, address, list(words))


class Accumulator:
    """The outputs of a processing element, cycle by cycle.

    ``weight`` and ``activation`` are the outputs to the neighbours, ``sum`` the accumulator, which
    is None before the first ``done``.
    """

    def __init__(self):
        self.weight = self.activation = self._product = 0
        self.sum: int | None = None

    def tick(self, weight: int, activation: int, done: bool) -> None:
        """Advance by a cycle with these inputs."""
        if done:
            self.sum = 0
        if self.sum is not None:
            self.sum += self._product
        self._product = self.weight * self.activation
        self.weight, self.activation = weight, activation


class Requantization(NamedTuple):
    """An accumulator and its constants; ``voxel`` is 1 for a voxel and 0 for an activation."""

    sum: int
    multiplier: int
    shift: int
    offset: int
    voxel: int

    def inputs(self) -> dict[str, int]:
        """Return the values of the requantizer's ports."""
        fields = {"coarse": self.shift >> 3, "fine": self.shift & 7}
        return {**self._asdict(), **fields}

    def result(self, formats: Formats) -> int:
        """Return the activation or voxel."""
        return results([self], formats)[0]


def results(cases: list[Requantization], formats: Formats) -> list[int]:
    """Return the results of requantizations."""
    sums, multipliers, shifts, offsets, voxel = (np.array(v) for v in zip(*cases, strict=True))
    high = np.where(voxel, formats.output_max, formats.activation_max)
    return requantize(sums, multipliers, offsets, shifts, high).tolist()


def random_requantization(rng: Random, formats: Formats, voxel: int) -> Requantization:
    """Draw a sum and constants of any size, with the extremes often among them."""
    limit, offset_limit = 1 << (formats.accumulator_bits - 1), 1 << (formats.offset_bits - 1)
    spread = rng.randrange(formats.accumulator_bits)
    total = rng.choice([-limit, limit - 1, rng.randrange(-limit, limit) >> spread])
    top_multiplier = max(1, (1 << formats.multiplier_bits) - 1)
    multiplier = rng.choice([top_multiplier, rng.randint(0, top_multiplier)])
    if not formats.multiplier_bits:
        multiplier = 1
    # A shift of about the right size gives a result that is neither 0 nor saturated.
    right = (abs(total * multiplier) >> formats.activation_bits).bit_length() + 1
    offset = rng.randrange(-offset_limit, offset_limit) >> rng.randrange(16)
    if rng.random() < 0.2:
        offset = rng.choice([-offset_limit, offset_limit - 1])
    return Requantization(
        total, multiplier, rng.choice([rng.randrange(64), min(63, right)]), offset, voxel
    )


class VoxelWords:
    """The words of a voxel bank, to which random points write their voxels in order.

    Attributes
    ----------
    words : dict of int to list of int
        Voxels of each word by its address, the first one first; as many as it has.
    """

    def __init__(self, rng: Random, config: AcceleratorConfig):
        self.words: dict[int, list[int]] = {}
        self._rng, self._config = rng, config
        self._half, self._number, self._count = 0, 0, rng.randint(1, config.outputs)
        self._word: list[int] = []

    def put(self, voxel: int) -> tuple[int, bool]:
        """Add a voxel; return its address, and whether its word is written with it."""
        per_beat = self._config.voxels_per_beat
        high = voxel_address_bits(self._config.outputs, per_beat) - 1
        address = self._half << high | self._number
        self._number += 1
        ends = self._number == self._count
        self._word.append(voxel)
        writes = ends or len(self._word) == per_beat
        if writes:
            self.words[address >> lane_bits(per_beat)] = self._word
            self._word = []
        if ends:
            self._half, self._number = 1 - self._half, 0
            self._count = self._rng.randint(1, self._config.outputs)
        return address, writes


class Drain:
    """Random accumulators that a row drains, one a cycle, and what must become of them.

    Attributes
    ----------
    sums : dict of int to int
        Accumulator by cycle.
    tokens : list of dict
        Fields of ``drain_layout`` by cycle.
    written : dict of int to (int, int)
        Address and word that is written to the activation bank, by cycle.
    voxels, bypass_sums : dict of int to int
        By cycle.
    stored : dict of int to (int, list of int)
        Address and voxels of the word that is written to the voxel bank, by cycle.
    """

    COMMANDS = ("voxel", "write", "write_voxels", "output_mac", "output_mac_last")

    def __init__(self, rng: Random, config: AcceleratorConfig, cycles: int):
        formats = config.formats
        layout, latency = row_drain_layout(config), requantizer_latency(formats)
        commands = {"sum", *self.COMMANDS} & {name for name, _ in layout}
        self.tokens = [
            {name: rng.getrandbits(field.width) for name, field in layout}
            | dict.fromkeys(commands, 0)
            for _ in range(cycles)
        ]
        self.sums, self.written, self.voxels, self.bypass_sums = {}, {}, {}, {}
        self.stored, bank = {}, VoxelWords(rng, config)
        names = ("write", "write_voxels", "output_mac", "output_mac_last")
        with_result = dict.fromkeys(names, latency)
        delays = Requantizer.constant_delays(formats)
        delays = {"sum": 0} | delays | gated_fields(formats) | with_result
        total = 0
        for cycle in range(1, cycles - latency - PE_LATENCY):
            command = rng.choice(("voxel", "write", "write", "output_mac", None))
            if not command:
                continue
            case = random_requantization(rng, formats, int(command == "voxel"))
            self.sums[cycle], result = case.sum, case.result(formats)
            end = cycle + latency
            token = {**case.inputs(), "sum": 1, command: 1}
            if command == "voxel":
                self.voxels[end] = result
                if config.outputs > 1:
                    token["address"], token["write_voxels"] = bank.put(result)
                if token.get("write_voxels"):
                    word = token["address"] >> lane_bits(config.voxels_per_beat)
                    self.stored[end] = word, bank.words[word]
            elif command == "write":
                token["address"] = random_address(rng, config.width)
                self.written[end] = token["address"], result
            elif command == "output_mac":
                half = 1 << (formats.weight_bits - 1)
                token["output_weight"] = rng.randrange(-half, half)
                total += result * token["output_weight"]
                token["output_mac_last"] = int(rng.random() < 0.2)
                if token["output_mac_last"]:
                    self.bypass_sums[end + PE_LATENCY], total = total, 0
            for name in token.keys() & delays.keys():
                self.tokens[cycle + delays[name] - 1][name] = token[name]


def row_drain_layout(config: AcceleratorConfig):
    """Return the layout of the drain tokens of a configuration."""
    return drain_layout(config.formats, config.width, config.outputs, config.voxels_per_beat)


def random_address(rng: Random, words: int) -> int:
    """Draw an address in either half of a bank."""
    return rng.randrange(2) << address_bits(words) | rng.randrange(words)


class Step(NamedTuple):
    """A step of a voxel tile.

    ``number`` is that of the input in its bank, ``address`` its address there (without the half,
    for a feature), ``used`` the number of columns at work. ``last`` marks the last step of a column
    tile, ``final`` that of the voxel tile. ``reserve`` marks the step that needs room for voxels.
    """

    layer: int
    bank: str
    number: int
    address: int
    used: int
    last: bool
    reserve: bool = False
    final: bool = False


def steps_of(shape: NetworkShape, config: AcceleratorConfig) -> list[Step]:
    """Return the steps of a voxel tile in their order."""
    steps = []
    for layer, size in enumerate(array_layers(shape)):
        half = ~layer & 1  # which the previous layer has written
        inputs = [("features", n, n) for n in range(size.features)]
        inputs += [
            ("hidden", n, n | half << address_bits(config.width)) for n in range(size.hidden)
        ]
        for first in range(0, size.outputs, config.columns):
            used = min(config.columns, size.outputs - first)
            steps += [Step(layer, *place, used, place == inputs[-1]) for place in inputs]
    # The bypass sum follows the last column tile; on the array, voxels follow the first.
    ends = [n for n, step in enumerate(steps) if step.last and step.layer == steps[-1].layer]
    at = ends[-1 if output_layer_bypasses_array(shape) else 0]
    steps[at] = steps[at]._replace(reserve=True)
    return [*steps[:-1], steps[-1]._replace(final=True)]


class Token(NamedTuple):
    """A drain token."""

    layer: int
    voxel: bool = False
    last_voxel: bool = False
    output_mac: bool = False
    output_mac_last: bool = False


def tokens_of(shape: NetworkShape, formats: Formats, step: Step) -> dict[int, Token]:
    """Return the drain tokens after the last step of a column tile, by the cycles after it."""
    output_mac = output_layer_bypasses_array(shape) and step.layer == shape.depth - 2
    token = Token(step.layer, voxel=step.layer == shape.depth - 1, output_mac=output_mac)
    tokens = {n + 1: token for n in range(step.used)}
    if output_mac and step.final:
        tokens[step.used] = token._replace(output_mac_last=True)
        bypass_sum = Token(step.layer + 1, voxel=True, last_voxel=True)
        tokens[step.used + output_mac_latency(formats)] = bypass_sum
    elif token.voxel and step.final:
        tokens[step.used] = token._replace(last_voxel=True)
    return tokens
