"""What the benches of components share: configuration, reset, both ends of a stream.

A cycle begins while the clock is low: inputs are set, then (after ``ReadOnly`` where they matter
at once) outputs are looked at, then the clock rises. All randomness comes from cocotb's seed.
"""

import json
import os
import random
from collections import deque
from contextlib import suppress

import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from implicore.accelerator_config import AcceleratorConfig
from implicore.errors import BadInput
from implicore.job import pack_points
from implicore.random_program import random_program

from .cases import Size, random_shape

CONFIG = AcceleratorConfig.from_dict(json.loads(os.environ["IMPLICORE_CONFIG"]))
FORMATS = CONFIG.formats
INPUTS = os.environ["IMPLICORE_INPUTS"].split()
"""Of all components."""

fault = 0
"""Which output is wrong on purpose, see ``components.wrapper``; none unless this is set."""

RESET = 3
"""Cycles of reset."""

TIMEOUT = {"timeout_time": 1, "timeout_unit": "ms"}
"""Of a bench that waits: 100,000 cycles."""


async def start(dut, name):
    """Clock and reset; a function that gives a port of the component."""
    Clock(dut.clk, 10, "ns").start()
    dut.rst.value, dut.fault.value = 1, fault
    for port in INPUTS:
        getattr(dut, port).value = 0
    for _ in range(RESET):
        await FallingEdge(dut.clk)
    dut.rst.value = 0
    return lambda port: getattr(dut, f"{name}__{port}")


def signed(value, bits):
    """Two's complement of the lowest bits."""
    value &= (1 << bits) - 1
    return value - (value >> (bits - 1) << bits)


def drawn():
    """A numpy generator from the seed."""
    return np.random.default_rng(random.getrandbits(64))


def point_payloads(points):
    """Points as the core and its mapper take them, the last one marked as such."""
    payloads = pack_points(points).tolist()
    payloads[-1] |= 1 << 48
    return payloads


def fitting_program(rng):
    """A random program that the configuration holds."""
    size = Size(frequencies=CONFIG.frequencies, width=CONFIG.width, depth=CONFIG.depth)
    while True:
        program = random_program(random_shape(rng, size), FORMATS, seed=int(rng.integers(1 << 31)))
        with suppress(BadInput):
            CONFIG.check_fits(program)
            return program


def shape_fields(shape):
    """A network's shape as the hardware is told it."""
    return {
        "last_frequency": shape.frequencies - 1,
        "last_neuron": shape.width - 1,
        "last_layer": shape.depth - 1,
        "skips": sum(1 << (layer - 1) for layer in shape.skips),
    }


class Source:
    """Offers payloads in order, each until it is taken, with rests between them.

    While it rests, anything stands at the payload's port.

    Parameters
    ----------
    port : function from name to handle
    name : str
        Of the stream.
    payloads : iterable of int
    rest : float
        Probability of a cycle without an offer.
    """

    def __init__(self, port, name, payloads, rest):
        self.valid, self.ready, self.payload = (
            port(f"{name}__{part}") for part in ("valid", "ready", "payload")
        )
        self.left = deque(payloads)
        self.rest = rest
        self.offering = False

    def drive(self):
        """Set this cycle's inputs."""
        self.offering = bool(self.left) and (self.offering or random.random() >= self.rest)
        self.valid.value = int(self.offering)
        junk = random.getrandbits(len(self.payload))
        self.payload.value = self.left[0] if self.offering else junk

    def taken(self):
        """Whether this cycle's offer is taken."""
        if not (self.offering and int(self.ready.value)):
            return False
        self.offering = False
        self.left.popleft()
        return True


class Sink:
    """Takes payloads with rests, and watches that an offer stands until it is taken.

    Parameters as for ``Source``.
    """

    def __init__(self, port, name, rest):
        self.valid, self.ready, self.payload = (
            port(f"{name}__{part}") for part in ("valid", "ready", "payload")
        )
        self.rest = rest
        self.taking = False
        self.waiting = None

    def drive(self):
        """Set this cycle's inputs."""
        self.taking = random.random() >= self.rest
        self.ready.value = int(self.taking)

    def taken(self):
        """The payload that is taken in this cycle, or None."""
        offered = int(self.payload.value) if int(self.valid.value) else None
        assert self.waiting in (None, offered), f"{self.waiting:#x} was changed or withdrawn"
        self.waiting = None if self.taking else offered
        return offered if self.taking else None
