"""The packages and tools that the demo needs, checked before its first step."""

from __future__ import annotations

import os
from pathlib import Path

from ..cli.requirements import require

PACKAGES = (
    *("torch", "amaranth", "cocotb_tools", "cocotbext.axi", "pyosys", "lark"),
    *("distributed", "pandas", "pyarrow", "moocore", "plotly", "matplotlib", "jinja2"),
)
"""Import names of the packages that the steps need; the extra ``demo`` installs all of them."""


def check_tools() -> tuple[str, Path]:
    """Choose the target and check that everything is installed.

    Returns
    -------
    str
        ``ihp-sg13g2`` if ``PDK_ROOT`` is set, else ``osu018``, whose library is a system package.
    Path
        Liberty file of the target.

    Raises
    ------
    BadInput
        A package, a tool or the library is missing; the message says how to install it.
    """
    require("The demo", "demo", *PACKAGES)
    from ..sim.simulators import find_icarus, find_verilator
    from ..synth.target import find
    from ..synth.timing import find_sta

    find_icarus()
    find_verilator()
    find_sta()
    target = "ihp-sg13g2" if os.environ.get("PDK_ROOT") else "osu018"
    return target, find(target).liberty
