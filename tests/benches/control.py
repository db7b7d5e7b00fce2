"""Benches of the sequencer, and of the core that holds it."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from implicore.accelerator_config import AcceleratorConfig
from implicore.cycles import predict
from implicore.dataflow import PE_LATENCY, requantizer_latency
from implicore.hw.core import store_layout
from implicore.hw.memory import address_bits
from implicore.hw.row import step_layout
from implicore.hw.sequencer import shape_layout
from implicore.hw.voxels import beat_layout
from implicore.model.golden import Renderer
from implicore.network_shape import NetworkShape
from implicore.program import Program
from implicore.sim.cases import random_points

from .ports import Ports, Sink, Source
from .reference import memory_writes, point_payloads, shape_fields, steps_of, tokens_of


async def sequencer(ports: Ports, shapes: Sequence[NetworkShape] | None = None):
    """Features and room for voxels that come at random: every step and token in its very cycle.

    With ``shapes`` for these networks, else for 30 random ones.
    """
    rng, config = ports.rng, ports.config
    step_shape = step_layout(2 * config.frequencies, config.width)
    feature_half, hidden_half = address_bits(2 * config.frequencies), address_bits(config.width)
    half = 0

    def issued():
        return step_shape.from_bits(ports.get("step"))

    for shape in shapes or [ports.program().shape for _ in range(30)]:
        steps, tiles = steps_of(shape, config), rng.randint(1, 4)
        ports.set(shape=shape_layout(config).const(shape_fields(shape)).as_bits())
        ports.set(running=0, start=1)
        await ports.settle()
        assert issued()["last"]  # clears the accumulators
        await ports.tick()
        ports.set(start=0, running=1)

        at = drain_free = 0
        full = output_free = True
        tokens, written = {}, Counter()  # by cycle; by layer
        in_flight = deque([None] * (PE_LATENCY + 1 + requantizer_latency(ports.formats)))
        for cycle in count():
            if not (tiles or tokens or any(in_flight)):
                break
            full = tiles > 0 and (full or rng.random() < 0.2)
            output_free = output_free or rng.random() < 0.05
            arriving = in_flight.popleft()
            ports.set(full=full, select=half, output_free=output_free)
            ports.set(written=arriving is not None)
            await ports.settle()

            step = steps[at]
            from_features = step.bank == "features"
            missing = {
                "features": from_features and not full,
                "neuron": not from_features and step.number >= written[step.layer - 1],
                "drain": step.last and cycle < drain_free,
                "buffer": step.reserve and not output_free,
            }
            issues = not any(missing.values())
            ends, finishes = issues and step.last, issues and step.final
            where = f"cycle {cycle}, {step}, missing {missing}"
            got = issued()
            banks = issues and from_features, issues and not from_features
            assert (got["features"], got["hidden"]) == banks, where
            assert ports.get("weight_enable") == issues, where
            assert got["last"] == ends, where
            assert ports.get("reserve") == (issues and step.reserve), where
            assert ports.get("finish") == ports.get("release_half") == finishes, where
            if issues:
                address = step.address | (half << feature_half if from_features else 0)
                assert got["address"] == address, where
                assert ports.get("weight_address") == at, where
                assert ports.get("columns_used") == step.used, where

            token = tokens.pop(cycle, None)
            assert ports.get("drain") == bool(token), where
            for name in ("voxel", "last_voxel", "output_mac", "output_mac_last"):
                assert ports.get(name) == bool(token and getattr(token, name)), where
            following = tokens_of(shape, ports.formats, step) if ends else {}
            feeds_output_mac = any(token.output_mac for token in following.values())
            assert ports.get("feeds_output_mac") == feeds_output_mac, where
            if arriving:
                address = written[arriving.layer] | (arriving.layer & 1) << hidden_half
                assert ports.get("write_address") == address, where
                written[arriving.layer] += 1

            in_flight.append(token if token and not (token.voxel or token.output_mac) else None)
            tokens |= {cycle + later: token for later, token in following.items()}
            if ends:
                drain_free = max(tokens)
            output_free = output_free and not (issues and step.reserve)
            at += issues
            if finishes:
                at, tiles, half = 0, tiles - 1, 1 - half
                full = False
                written.clear()
            await ports.tick()


@dataclass
class Decoded:
    """A job of the core.

    Attributes
    ----------
    voxels : list of int
    last : list of bool
        Whether each beat was marked as the job's last.
    cycles : int
        From the first point taken to the last voxel taken, both included.
    steps, useful_macs : int
    """

    voxels: list[int]
    last: list[bool]
    cycles: int
    steps: int
    useful_macs: int


async def decode(
    ports: Ports,
    program: Program,
    points: np.ndarray,
    *,
    pause: float = 0.0,
    observe: Callable[[], None] = lambda: None,
) -> Decoded:
    """Write a program into the core's memories, start a job, give it points and take its voxels.

    Parameters
    ----------
    ports : Ports
        The core's.
    program : Program
    points : int array, shape (points, 3)
    pause : float
        Probability of a pause, in both streams.
    observe : function, optional
        Called in each cycle of the job, once the signals have settled.
    """
    store = store_layout(ports.config)
    for fields in [*(write.fields for write in memory_writes(program, ports.config)), {}]:
        ports.set(store=store.const(fields).as_bits())
        await ports.tick()
    ports.set(shape=shape_layout(ports.config).const(shape_fields(program.shape)).as_bits())
    ports.set(start=1)
    await ports.tick()
    ports.set(start=0, running=1)
    source = Source(ports, "points", point_payloads(points), pause)
    sink = Sink(ports, "voxels", pause)
    beats = beat_layout(ports.formats.output_bits, ports.config.voxels_per_beat)
    decoded = Decoded([], [], 0, 0, 0)
    first = None
    for cycle in count():
        source.drive()
        sink.drive()
        await ports.settle()
        if source.taken() and first is None:
            first = cycle
        decoded.steps += ports.get("step")
        if first is not None:
            observe()
        if ports.get("count_macs"):
            decoded.useful_macs += ports.get("useful_macs")
        beat = sink.taken()
        if beat is not None:
            decoded.voxels += voxels_of(beats.from_bits(beat), ports.config)
            decoded.last.append(bool(beats.from_bits(beat)["last"]))
        if len(decoded.voxels) >= len(points) * program.shape.outputs:
            decoded.cycles = cycle - first + 1
            break
        await ports.tick()
    await ports.tick()
    ports.set(running=0)
    return decoded


def voxels_of(beat, config: AcceleratorConfig) -> list[int]:
    """Return the voxels of a beat; those that it does not have must be 0."""
    bits, per_beat = config.formats.output_bits, config.voxels_per_beat
    keep = beat["keep"] if per_beat > 1 else 1
    count = keep.bit_length()
    assert keep == (1 << count) - 1, "the voxels of a beat come first"
    assert not beat["value"] >> count * bits
    return [beat["value"] >> number * bits & config.formats.output_max for number in range(count)]


def check(decoded: Decoded, ports: Ports, program: Program, points, *, timed: bool) -> None:
    """Assert that a job gave the golden model's voxels and the predicted counts.

    ``timed``: and took the predicted cycles, which it does without pauses.
    """
    expected = Renderer(program).voxels(points).tolist()
    prediction = predict(program.shape, ports.config, len(expected))
    assert decoded.voxels == expected
    beats = -(-len(expected) // ports.config.voxels_per_beat)
    assert decoded.last == [False] * (beats - 1) + [True]
    assert decoded.steps == prediction.steps
    assert decoded.useful_macs == prediction.useful_macs
    if timed:
        assert decoded.cycles == prediction.cycles


async def core(ports: Ports):
    """Programs one after the other, with and without pauses."""
    rng = ports.generator()
    for pause in (0, 0.6) * 3:
        program = ports.program()
        points = random_points(rng, ports.rng.randint(1, 3 * ports.config.rows + 1))
        decoded = await decode(ports, program, points, pause=pause)
        check(decoded, ports, program, points, timed=not pause)
