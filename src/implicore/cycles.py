"""The exact schedule: cycles and memory accesses of a job, computed without simulation.

``docs/hardware.md`` explains the rules. Cycle 0 is the one in which the first point is accepted.
The prediction assumes that points are always valid and voxels always accepted: external stalls
cannot be predicted.
"""

from __future__ import annotations

from dataclasses import dataclass

from .accelerator_config import AcceleratorConfig
from .dataflow import (
    FIFO_LATENCY,
    PE_LATENCY,
    array_layers,
    decoder_latency,
    mapper_cycles,
    mapper_latency,
    neurons,
    output_layer_bypasses_array,
    output_mac_latency,
    release_delay,
    requantizer_latency,
    voxel_read_latency,
    voxel_words,
    weight_words,
)
from .network_shape import NetworkShape

TOKEN_TO_SUM = PE_LATENCY + 2
"""Cycles from a drain token to its accumulator in the sum register of row 0."""


@dataclass(frozen=True)
class Accesses:
    """Reads and writes, in words, of all banks of one kind."""

    reads: int
    writes: int


@dataclass(frozen=True)
class Prediction:
    """Cycles, work and memory accesses of a job.

    Attributes
    ----------
    voxels : int
    cycles : int
        From the first accepted point to the last delivered voxel, both included.
    steps : int
        Active cycles, in which a step is issued to the array.
    useful_macs : int
        Multiply-accumulates that the voxels need.
    mac_capacity : int
        Multiply-accumulates that the array could do in ``cycles``.
    memories : dict of str to Accesses
        ``coefficients`` (of B), ``features``, ``hidden`` (activations), ``weights``, ``constants``
        and, in hardware for several outputs, ``voxels``.
    """

    voxels: int
    cycles: int
    steps: int
    useful_macs: int
    mac_capacity: int
    memories: dict[str, Accesses]

    @property
    def utilization(self) -> float:
        """``useful_macs / mac_capacity``; may exceed 1, as output-layer MACs are not counted."""
        return self.useful_macs / self.mac_capacity


def predict(shape: NetworkShape, config: AcceleratorConfig, voxels: int) -> Prediction:
    """Predict a job.

    Parameters
    ----------
    shape : NetworkShape
        A network that fits the accelerator.
    config : AcceleratorConfig
    voxels : int
        At least 1, and a multiple of the network's outputs.

    Raises
    ------
    BadInput
        The network does not fit the accelerator.
    ValueError
        There are no voxels, or they are not those of whole points.

    Examples
    --------
    >>> from implicore import ACCELERATORS, NETWORKS, predict
    >>> job = predict(NETWORKS["demo"], ACCELERATORS["medium"], voxels=4096)
    >>> job.cycles
    984267
    >>> round(job.utilization, 4)
    0.9998
    """
    if voxels < 1:
        raise ValueError(f"Job voxels must be at least 1, not {voxels}.")
    config.check_holds(shape)
    points, partial = divmod(voxels, shape.outputs)
    if partial:
        raise ValueError(
            f"Job voxels must be a multiple of the network's {shape.outputs} outputs, not {voxels}."
        )
    rows = config.rows
    tiles, rest = divmod(points, rows)
    schedule = _Schedule(shape, config)
    # Full tiles soon repeat with a constant period. From then on, repetitions are skipped.
    seen: dict[tuple[int, ...], tuple[int, int]] = {}
    skipped = 0
    tile = 0
    while tile < tiles:
        schedule.tile(rows)
        tile += 1
        state = schedule.state()
        if not skipped and state in seen:
            earlier_tile, earlier_now = seen[state]
            period = tile - earlier_tile
            repeats = (tiles - tile) // period
            skipped = repeats * (schedule.now - earlier_now)
            tile += repeats * period
        seen[state] = (tile, schedule.now)
    if rest:
        schedule.tile(rest)
    cycles = schedule.delivered + schedule.packing(voxels) + 1 + skipped
    tiles += bool(rest)
    steps = tiles * weight_words(shape, config.columns)
    return Prediction(
        voxels=voxels,
        cycles=cycles,
        steps=steps,
        useful_macs=points * shape.weights,
        mac_capacity=cycles * rows * config.columns,
        memories=_memories(shape, config, points, tiles, steps),
    )


def last_steps(shape: NetworkShape, config: AcceleratorConfig) -> list[list[int]]:
    """Return the cycle of the last step of each column tile of the first voxel tile, by layer."""
    schedule = _Schedule(shape, config)
    schedule.tile(1)
    return schedule.ends


class _Schedule:
    """The state of the accelerator from one voxel tile to the next. All times are cycles."""

    def __init__(self, shape: NetworkShape, config: AcceleratorConfig):
        self.shape = shape
        self.config = config
        self.now = 0  # when the next step can be issued
        self.mapper_free = 0  # when the mapper can accept points
        self.halves = [0, 0]  # when each half is free; the half to be written next comes first
        self.drain_free = 0
        self.output_halves = [0, 0]  # when each half of what holds voxels is free; next one first
        self.reader_free = 0  # when the voxel reader can read the next tile
        self.delivered = 0  # when the last voxel is delivered
        self.ends: list[list[int]] = []  # last steps of the tile, layer by layer

    def state(self) -> tuple[int, ...]:
        """Everything that affects the next tile, relative to ``now``."""
        times = (self.mapper_free, *self.halves, self.drain_free)
        # These only delay what happens after `now`.
        delays = (max(self.now, time) for time in (*self.output_halves, self.reader_free))
        return tuple(time - self.now for time in (*times, *delays))

    def tile(self, points: int) -> None:
        """Run a voxel tile of ``points`` points."""
        shape, config = self.shape, self.config
        begin = max(self.mapper_free, self.halves[0])
        self.mapper_free = begin + mapper_cycles(shape.frequencies, points, config.lanes)
        mapped = self.mapper_free - 1 + mapper_latency(config.formats, config.protection)
        self.now = max(self.now, mapped)

        readable = requantizer_latency(config.formats) + TOKEN_TO_SUM + 1
        layers = array_layers(shape)
        self.ends = []
        previous: list[int] = []  # last steps of the column tiles of the previous layer
        for number, layer in enumerate(layers):
            ends = []
            for first in range(0, layer.outputs, config.columns):
                used = min(config.columns, layer.outputs - first)
                end = self.now + layer.inputs - 1
                if number and not first:
                    # The inputs are the features, then the hidden activations. The activations
                    # of a tile of the previous layer become readable one per cycle.
                    for tile, previous_end in enumerate(previous):
                        steps_left = layer.hidden - 1 - tile * config.columns
                        end = max(end, previous_end + readable + steps_left)
                end = max(end, self.drain_free)
                if number == len(layers) - 1 and first == self._before_voxels:
                    end = max(end, self.output_halves[0])
                self.drain_free = end + used
                self.now = end + 1
                ends.append(end)
            previous = ends
            self.ends.append(ends)
        released = self.now + release_delay(config.formats, config.lanes)
        self.halves = [self.halves[1], released]
        if output_layer_bypasses_array(shape):
            self.drain_free += output_mac_latency(config.formats)
        # Steps and results are as late as the decoder makes the weights, so they need not wait.
        result = self.drain_free + decoder_latency(config.protection) + TOKEN_TO_SUM
        result += requantizer_latency(config.formats)
        if config.outputs == 1:
            # The voxel passes through the OR of the rows and the voxel buffer.
            self.delivered = result + 2 + points - 1
            self.output_halves = [result + 2 + config.rows] * 2
            return
        # The bank of row 0 is written with the result. Reading begins two cycles later.
        begin = max(result + 1, self.reader_free)
        last_read = begin + points * voxel_words(shape.outputs, config.voxels_per_beat) - 1
        self.reader_free = last_read + 2
        self.output_halves = [self.output_halves[1], last_read + 1]
        self.delivered = last_read + voxel_read_latency(config.rows) + FIFO_LATENCY

    @property
    def _before_voxels(self) -> int:
        """The first neuron of the column tile, in the last layer on the array, before the voxels.

        Its last step needs room for the voxels, which drain next.
        """
        on_array = not output_layer_bypasses_array(self.shape)
        if on_array and self.config.outputs > 1:
            return 0
        neurons = array_layers(self.shape)[-1].outputs
        return (neurons - 1) // self.config.columns * self.config.columns

    def packing(self, voxels: int) -> int:
        """Return the cycles that the voxel packer takes for the last of ``voxels`` voxels.

        One, or two if the last word completes a beat and begins another.
        """
        per_beat = self.config.voxels_per_beat
        if per_beat == 1:
            return 0
        last_word = (self.shape.outputs - 1) % per_beat + 1
        waiting = (voxels - last_word) % per_beat
        return 1 + (waiting + last_word > per_beat)


def _memories(
    shape: NetworkShape, config: AcceleratorConfig, points: int, tiles: int, steps: int
) -> dict[str, Accesses]:
    rows, columns, lanes = config.rows, config.columns, config.lanes
    full, rest = divmod(points, rows)
    batches = full * -(-rows // lanes) + -(-rest // lanes)
    mapped_rows = full * rows + min(rows, -(-rest // lanes) * lanes)
    layers = array_layers(shape)
    column_tiles = [-(-layer.outputs // columns) for layer in layers]
    feature_steps = tiles * sum(
        layer.features * count for layer, count in zip(layers, column_tiles, strict=True)
    )
    # The array's last layer feeds the output-layer MACs or is the output layer: its results are
    # not written to the activation banks.
    written = tiles * sum(layer.outputs for layer in layers[:-1])
    words = voxel_words(shape.outputs, config.voxels_per_beat)
    voxels = {"voxels": Accesses(reads=points * words, writes=tiles * rows * words)}
    return {
        "coefficients": Accesses(reads=3 * shape.frequencies * batches, writes=0),
        "features": Accesses(reads=feature_steps * rows, writes=shape.features * mapped_rows),
        "hidden": Accesses(reads=(steps - feature_steps) * rows, writes=written * rows),
        "weights": Accesses(reads=steps * config.weight_banks, writes=0),
        "constants": Accesses(reads=tiles * neurons(shape), writes=0),
        **(voxels if config.outputs > 1 else {}),
    }
