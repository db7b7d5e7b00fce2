"""A virtual board: the generated Verilog behind a simulated serial line.

What ``implicore.link.Link`` takes for a serial port is here a process with the verilated
accelerator and the host's end of its line. It only runs while the host waits for an answer.
"""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

from implicore.hw.ulx3s import SerialAccelerator, convert
from implicore.machine import AcceleratorConfig

from .simulators import find_verilator, verilog
from .tools import ToolFailed, cached, run

DRIVER = Path(__file__).with_name("serial.cpp")


class SerialBoard:
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
        command = [build(config, divisor), str(divisor)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._timeout = timeout

    def write(self, data: bytes) -> None:
        """Give bytes to the line."""
        self._tell(b"w" + struct.pack("<I", len(data)) + data)

    def read(self, size: int) -> bytes:
        """Bytes from the line; fewer when the time is over."""
        found = b""
        while len(found) < size:
            self._tell(b"r" + struct.pack("<I", self._timeout))
            count = self._process.stdout.read(1)
            if count == b"":
                raise ToolFailed(f"The simulator broke off: {self._error()}.")
            if count == b"\0":
                break
            found += self._process.stdout.read(1)
        return found

    def _tell(self, message: bytes) -> None:
        try:
            self._process.stdin.write(message)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ToolFailed(f"The simulator broke off: {self._error()}.") from None

    def _error(self) -> str:
        return self._process.stderr.read().decode(errors="replace").strip() or "it said nothing"

    def close(self) -> None:
        """End the simulation."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> SerialBoard:
        return self

    def __exit__(self, *_) -> None:
        self.close()


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
