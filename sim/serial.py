"""A virtual board: the generated Verilog behind a simulated serial line.

What ``implicore.link.Link`` takes for a serial port is here a process with the verilated
accelerator and the host's end of its line. It only runs while the host waits for an answer.
"""

from __future__ import annotations

import struct
from pathlib import Path

from implicore.accelerator_config import AcceleratorConfig
from implicore.cache import cached
from implicore.hw.ulx3s import SerialAccelerator, convert
from implicore.process import run

from .dialogue import Dialogue
from .simulators import find_verilator, verilog

DRIVER = Path(__file__).with_name("serial.cpp")


class SerialBoard(Dialogue):
    """A board's serial port, for ``Link``; a context manager.

    Parameters
    ----------
    config : AcceleratorConfig
    divisor : int
        Clock cycles of a bit.
    timeout : int
        Cycles after which a board that has been told everything and is silent is given up.
    """

    def __init__(self, config: AcceleratorConfig, *, divisor: int = 4, timeout: int = 10**6):
        super().__init__([build(config, divisor), divisor])
        self._timeout = timeout

    def write(self, data: bytes) -> None:
        """Give bytes to the line."""
        self.tell(b"w" + struct.pack("<I", len(data)) + data)

    def read(self, size: int) -> bytes:
        """Bytes from the line; fewer when the time is over."""
        found = b""
        while len(found) < size:
            self.tell(b"r" + struct.pack("<I", self._timeout))
            if self.hear(1) == b"\0":
                break
            found += self.hear(1)
        return found


def build(config: AcceleratorConfig, divisor: int) -> Path:
    """The program that simulates a board, from the cache if it was built before."""
    verilator = find_verilator()
    text = convert(SerialAccelerator(config, divisor), "serial")
    sources = [*verilog(config), DRIVER]
    options = ["--cc", "--exe", "--build", "--prefix", "Vserial", "--top-module", "serial"]
    options += ["-Wno-fatal", "-Wno-lint", "--noassert", "-O3", "-j", "2"]
    options += ["-MAKEFLAGS", "OPT_FAST=-O2 OPT_SLOW=-O0 OPT_GLOBAL=-O2"]

    def make(folder: Path) -> None:
        (folder / "serial.v").write_text(text, encoding="utf-8")
        files = [folder / "serial.v", *sources, "-o", "../serial"]
        run([verilator.command, *options, "--Mdir", folder / "build", *files], folder, verilator)

    folder = cached("serial", [verilator.version, options, text, sources], make)
    return folder / "serial"
