"""Writes the files of an accelerator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

from implicore.accelerator_config import AcceleratorConfig
from implicore.atomic import atomic_write
from implicore.registers import c_header

from ..accelerator import Accelerator
from .core_file import core_file
from .hierarchy import Hierarchy
from .memories import MemoryKind, memory_modules
from .naming import PREFIX
from .sidecar import sidecar
from .waivers import waiver_file


def generate(
    config: AcceleratorConfig, folder: str | Path, *, memories: MemoryKind = "inferred"
) -> dict:
    """Write an accelerator's files into a folder, which is created if it does not exist.

    - ``implicore.v``: the logic;
    - ``implicore_memories.v``: a module with plain ports for every kind of memory, to replace if
      SRAM macros are used;
    - ``implicore.vlt``: lint waivers for Verilator, with reasons;
    - ``implicore.json``: the sidecar (configuration, ports, memories, modules, registers);
    - ``implicore.h``: the register map as a C header;
    - ``implicore.core``: the FuseSoC core description.

    The same configuration gives the same bytes.

    Parameters
    ----------
    config : AcceleratorConfig
    folder : path-like
    memories : {"inferred", "blackbox"}
        Memory modules with behaviour that synthesis infers block RAM from, or with ports only.

    Returns
    -------
    dict
        ``bytes`` (of Verilog), ``modules`` (their number), ``config``, ``files`` (names).

    Raises
    ------
    ValueError
        If ``memories`` has another value.
    """
    if memories not in get_args(MemoryKind):
        raise ValueError(f"Memories must be inferred or blackbox, not {memories!r}.")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    accelerator = Accelerator(config)
    hierarchy = Hierarchy(accelerator)
    verilog = {
        f"{PREFIX}.v": hierarchy.verilog(),
        f"{PREFIX}_memories.v": memory_modules(hierarchy.rams, memories),
    }
    files = {
        **verilog,
        f"{PREFIX}.vlt": waiver_file(),
        f"{PREFIX}.json": json.dumps(sidecar(accelerator, hierarchy), indent=2) + "\n",
        f"{PREFIX}.h": c_header(),
        f"{PREFIX}.core": core_file(config),
    }
    for name, content in files.items():
        with atomic_write(folder / name) as temporary:
            Path(temporary).write_text(content, encoding="utf-8")
    return {
        "bytes": sum(map(len, verilog.values())),
        "modules": len(hierarchy.texts) + len(hierarchy.rams),
        "config": config.to_dict(),
        "files": sorted(files),
    }
