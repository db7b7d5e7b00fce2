"""What all benches share: the ports of a component in either simulator, and both ends of a stream.

A bench is a coroutine that sets and reads the ports of one component. In each cycle it sets inputs,
awaits ``settle``, reads outputs and awaits ``tick``. All its randomness comes from ``Ports.rng``.
"""

import random
from abc import ABC, abstractmethod
from collections import deque
from contextlib import suppress

import numpy as np

from implicore.accelerator_config import AcceleratorConfig
from implicore.errors import BadInput
from implicore.program import Program
from implicore.random_program import random_program
from implicore.sim.cases import Size, random_shape


class Ports(ABC):
    """The ports of a component that is being simulated.

    Attributes
    ----------
    config : AcceleratorConfig
        The component is one of this accelerator's.
    formats : Formats
        Its number formats.
    rng : random.Random
    """

    def __init__(self, config: AcceleratorConfig, seed: int):
        self.config = config
        self.formats = config.formats
        self.rng = random.Random(seed)

    @abstractmethod
    def width(self, name: str) -> int:
        """Return the width of a port."""

    @abstractmethod
    def write(self, name: str, value: int) -> None:
        """Set an input to a value from 0 to ``2**width - 1``."""

    @abstractmethod
    def get_bits(self, name: str, low: int, width: int) -> int:
        """Return some bits of an output, as an unsigned integer."""

    @abstractmethod
    async def settle(self) -> None:
        """Wait until the outputs follow from the inputs."""

    @abstractmethod
    async def tick(self) -> None:
        """Wait for the next cycle."""

    def set(self, **values: int) -> None:
        """Set inputs by name, to as many of the lowest bits as each has."""
        for name, value in values.items():
            self.write(name, int(value) & ((1 << self.width(name)) - 1))

    def get(self, name: str) -> int:
        """Return an output as an unsigned integer."""
        return self.get_bits(name, 0, self.width(name))

    def get_signed(self, name: str) -> int:
        """Return an output in two's complement."""
        return signed(self.get(name), self.width(name))

    def generator(self) -> np.random.Generator:
        """Return a numpy generator, seeded from ``rng``."""
        return np.random.default_rng(self.rng.getrandbits(64))

    def program(self) -> Program:
        """Return a random program that fits the configuration."""
        config, rng = self.config, self.generator()
        size = Size(
            frequencies=config.frequencies,
            width=config.width,
            depth=config.depth,
            outputs=config.outputs,
        )
        while True:
            shape = random_shape(rng, size)
            program = random_program(shape, self.formats, seed=int(rng.integers(1 << 31)))
            with suppress(BadInput):
                config.check_fits(program)
                return program


def signed(value: int, bits: int) -> int:
    """Return the lowest bits of a value in two's complement."""
    value &= (1 << bits) - 1
    return value - (value >> (bits - 1) << bits)


class Source:
    """Offers payloads in order, each until it is taken, with pauses between them.

    During a pause the payload's port has a random value.

    Parameters
    ----------
    ports : Ports
    name : str
        The stream's.
    payloads : iterable of int
    pause : float
        Probability of a cycle without an offer.
    """

    def __init__(self, ports: Ports, name: str, payloads, pause: float):
        self.ports = ports
        self.name = name
        self.left = deque(payloads)
        self.pause = pause
        self.offering = False

    def drive(self) -> None:
        """Set the inputs of this cycle."""
        ports, payload = self.ports, f"{self.name}__payload"
        self.offering = bool(self.left) and (self.offering or ports.rng.random() >= self.pause)
        junk = ports.rng.getrandbits(ports.width(payload))
        value = self.left[0] if self.offering else junk
        ports.set(**{f"{self.name}__valid": self.offering, payload: value})

    def taken(self) -> bool:
        """Return whether the offer of this cycle is taken."""
        if not (self.offering and self.ports.get(f"{self.name}__ready")):
            return False
        self.offering = False
        self.left.popleft()
        return True


class Sink:
    """Takes payloads with pauses, and asserts that an offer stands until it is taken.

    Parameters are those of ``Source``.
    """

    def __init__(self, ports: Ports, name: str, pause: float):
        self.ports = ports
        self.name = name
        self.pause = pause
        self.taking = False
        self.waiting = None

    def drive(self) -> None:
        """Set the inputs of this cycle."""
        self.taking = self.ports.rng.random() >= self.pause
        self.ports.set(**{f"{self.name}__ready": self.taking})

    def taken(self) -> int | None:
        """Return the payload that is taken in this cycle, or None."""
        valid = self.ports.get(f"{self.name}__valid")
        offered = self.ports.get(f"{self.name}__payload") if valid else None
        assert self.waiting in (None, offered), f"{self.waiting:#x} was changed or withdrawn"
        self.waiting = None if self.taking else offered
        return offered if self.taking else None
