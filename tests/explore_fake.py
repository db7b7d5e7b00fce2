"""A fake flow of a sweep: metrics by formula, and a log of the calls.

It is a module of its own, so that workers in other processes can import it.
"""

import os
import time
from functools import partial

import numpy as np

from implicore.cycles import predict as cycles
from implicore.errors import BadInput
from implicore.synth.explore.flow import Flow
from implicore.synth.explore.workload import Workload

SLICE = 1 << 16


def fake_flow(log, seconds: float = 0.0) -> Flow:
    """Return a flow whose syntheses take so many seconds; each call writes lines to ``log``."""
    return Flow(
        prepare=prepare,
        family=family,
        characterize=partial(characterize, str(log)),
        predict=partial(predict, str(log)),
        synthesize=partial(synthesize, str(log), seconds),
    )


def note(log: str, *words) -> None:
    """Append a line with one write, so that lines of several processes do not mix."""
    with open(log, "ab", buffering=0) as file:
        file.write((" ".join(map(str, words)) + "\n").encode())


def prepare(source, formats, volumes):
    plane = np.linspace(0, 1, 12).reshape(4, 3)
    if source.kind == "network":
        return Workload(source.shape)
    if formats is not None and formats.activation_bits == 15:
        raise BadInput("The network needs other formats.")
    bits = formats.weight_bits + formats.activation_bits if formats else 20
    return Workload(source.shape, source.content, 30.0 + bits / 4, plane, plane / 2)


def family(config, target):
    return f"{target.name} {config.formats} {config.gate_zeros}"


def characterize(log, config, target, program):
    note(log, "characterize", config.formats)
    if config.formats.weight_bits == 16:
        raise BadInput("No cell has 16 bits.")
    bits = config.formats.weight_bits + config.formats.activation_bits
    return {"pe": 100.0 * bits, "energy": program is not None}


def metrics(config, shape, pe, energy) -> dict:
    size = config.rows * config.columns
    area = 1e5 + size * pe
    cycle = cycles(shape, config, SLICE)
    clock = 300 - config.columns / 10
    found = {
        "area_um2": area,
        "logic_area_um2": area - 1e5,
        "fmax_mhz": clock,
        "clock_mhz": clock,
        "voxels_per_second": SLICE * clock * 1e6 / cycle.cycles,
        "utilization": cycle.utilization,
        "cycles_per_slice": cycle.cycles,
        "blocks": {"array": {"area_um2": area - 1e5}, "memory weights": {"area_um2": 1e5}},
    }
    if energy:
        nanojoules = pe * (1 + 8 / config.rows + 8 / config.columns)
        found |= {
            "power_mw": nanojoules * found["voxels_per_second"] * 1e-6,
            "nj_per_voxel": nanojoules,
            "pj_per_mac": nanojoules * 1000 / shape.weights,
            "voxels_per_joule": 1e9 / nanojoules,
        }
    return found


def predict(log, points, shape, costs, fits):
    records = []
    for identity, config in points:
        note(log, "predict", identity)
        if config.rows == 13:
            records.append({"point": identity, "error": "Thirteen rows are not supported."})
            continue
        record = metrics(config, shape, costs["pe"], costs["energy"])
        if fits:
            record["fits"] = config.rows * config.columns <= 20
        records.append({"point": identity, **record})
    return records


def synthesize(log, seconds, config, target, program):
    name = f"{config.rows}x{config.columns}-{config.formats}"
    note(log, "begin", name, os.getpid())
    time.sleep(seconds)
    if config.columns == 7:
        raise RuntimeError("The tool crashed.")
    bits = config.formats.weight_bits + config.formats.activation_bits
    shape = program.shape if program else None
    found = metrics(config, shape or _demo(), 103.0 * bits, program is not None)
    for name in ("utilization", "cycles_per_slice", "voxels_per_second"):
        found.pop(name)  # synthesis reports these only with a program, or not at all
    note(log, "end", f"{config.rows}x{config.columns}-{config.formats}", os.getpid())
    return {**found, "seconds": seconds}


def _demo():
    from implicore.network_shape import NETWORKS

    return NETWORKS["demo"]
