"""A circuit in the binary form that ``gates.h`` reads."""

from __future__ import annotations

import numpy as np

from .circuit import Circuit, Sram

GATHER = 0xFFFFFFFF
"""Number instead of a function: the net is gathered from bits of other nets."""


def encode(circuit: Circuit) -> np.ndarray:
    """Return a circuit as words, uint32.

    The words are four sections, each after its length: bit lanes of each net; operations in order,
    each as its function, net, sources and, for a gathered net, runs of (first bit lane, first bit
    of all values, length); D, Q and enable of each flip-flop; SRAMs.
    """
    words = [-(-bit_lanes // 64) for bit_lanes in circuit.bit_lanes]
    offsets = np.concatenate([[0], np.cumsum(words)])
    code: list = []
    for operation in circuit.operations:
        sources = [len(operation.sources), *operation.sources]
        if operation.function is not None:
            code += [operation.function, operation.net, *sources]
            continue
        nets, bit_lanes = circuit.gathered[operation.net]
        bits = offsets[nets] * 64 + bit_lanes
        starts = np.flatnonzero(np.diff(bits, prepend=-2) != 1)
        lengths = np.diff(starts, append=len(bits))
        runs = np.stack([starts, bits[starts], lengths], axis=1)
        code += [GATHER, operation.net, *sources, len(runs), *runs.ravel().tolist()]
    memories: list = []
    for sram in circuit.srams:
        memories += _memory(circuit, sram)
    sections = [
        [len(circuit.bit_lanes), *circuit.bit_lanes],
        [len(code), *code],
        [len(circuit.flop_nets), *(net for nets in circuit.flop_nets for net in nets)],
        [len(circuit.srams), *memories],
    ]
    return np.concatenate([np.array(section, np.uint32) for section in sections])


def _memory(circuit: Circuit, sram: Sram) -> list[int]:
    macro, group = sram.macro, sram.group
    pins = group.netlist.cells[sram.cell][1]

    def read(name):
        return [circuit.net(group, bit) for bit in pins.get(name, ())]

    words = [group.bit_lanes, macro.width, macro.depth, len(macro.prefixes)]
    for prefix in macro.prefixes:
        for pin in ("enable", "write", "read"):
            words += read(prefix + macro.pins[pin])
        for pin in ("address", "data_in", "mask", "data_out"):
            nets = read(prefix + macro.pins[pin]) if pin in macro.pins else []
            words += [len(nets), *nets]
    return words
