"""A virtual board: the generated Verilog behind a simulated serial line.

``SerialBoard`` takes the place of a serial port for ``implicore.link.Link``. The accelerator and
the line are simulated in a separate process, which runs only while the host reads.
"""

from __future__ import annotations

import struct
from pathlib import Path

from implicore.accelerator_config import AcceleratorConfig
from implicore.hw.ulx3s import SerialAccelerator, convert

from .interactive import InteractiveSimulator
from .simulators import compiled, verilog

DRIVER = Path(__file__).with_name("serial.cpp")


class SerialBoard(InteractiveSimulator):
    """The serial port of a simulated board, a ``link.Port``; a context manager.

    Parameters
    ----------
    config : AcceleratorConfig
    divisor : int
        Clock cycles per bit.
    timeout : int
        Cycles without a byte, counted after all bytes are sent, after which a read returns.
    """

    def __init__(self, config: AcceleratorConfig, *, divisor: int = 4, timeout: int = 10**6):
        super().__init__([build(config, divisor), divisor])
        self._timeout = timeout

    def write(self, data: bytes) -> None:
        """Queue bytes to be sent on the line."""
        self.send(b"w" + struct.pack("<I", len(data)) + data)

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes from the line, or fewer after the timeout."""
        data = b""
        while len(data) < size:
            self.send(b"r" + struct.pack("<I", self._timeout))
            if self.receive(1) == b"\0":
                break
            data += self.receive(1)
        return data


def build(config: AcceleratorConfig, divisor: int) -> Path:
    """Build the simulator of a board, or take it from the cache, and return its executable."""
    text = convert(SerialAccelerator(config, divisor), "serial")
    files = [*verilog(config), DRIVER]
    return compiled("serial", "serial", files, options=["--noassert"], texts={"serial.v": text})
