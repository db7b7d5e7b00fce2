"""The flow for an FPGA board: utilization, clock and a bitstream."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from implicore.accelerator_config import AcceleratorConfig
from implicore.atomic import atomic_write
from implicore.cache import cached
from implicore.errors import BadInput
from implicore.hw import ulx3s
from implicore.sim import simulators

from . import ecp5

TARGETS = {"ecp5": f"{ulx3s.DEVICE} on a ULX3S"}
"""Boards by target."""

CLOCK_MHZ = 100.0
"""Default clock of the accelerator."""

SEEDS = 3
"""Number of placements to try until one meets the clock."""

CELLS = {"luts": "TRELLIS_COMB", "ffs": "TRELLIS_FF", "dsps": "MULT18X18D", "brams": "DP16KD"}
"""Cell types of nextpnr by resource."""

CLOCK_NET = "$clk"
TOP = "ulx3s"

LEFT_OUT = (
    "measured delays: those of nextpnr's device model are used, speed grade 6, worst case",
    "timing of paths to and from pins and from the button",
    "power",
    "a test on a board",
)


def synthesize_fpga(
    config: AcceleratorConfig,
    target: str,
    folder: str | Path,
    *,
    clock_mhz: float | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> dict:
    """Place and route an accelerator for a board and write its bitstream.

    The folder receives the board's Verilog and pin constraints, the log of every tool, nextpnr's
    report and ``implicore.bit``. If no placement meets the clock, the fastest is used.

    Parameters
    ----------
    config : AcceleratorConfig
    target : str
        A key of ``TARGETS``.
    folder : path-like
        Created if it does not exist.
    clock_mhz : float, optional
        Output of the board's PLL, ``CLOCK_MHZ`` by default.
    report : callable
        Called with a line of progress.

    Returns
    -------
    dict
        ``luts``, ``ffs``, ``dsps``, ``brams``; ``available`` of each; ``distributed``: bits of the
        memories in LUTs; ``clock_mhz``, ``fmax_mhz``, ``met``, ``seed``;
        ``critical_path``, see ``ecp5.Layout``; ``device``, ``seconds``, ``left_out``.

    Raises
    ------
    BadInput
        If a tool is missing, the PLL cannot make the clock, or the accelerator does not fit.
    """
    if target not in TARGETS:
        raise BadInput(f"The target {target} is not an FPGA: choose {', '.join(TARGETS)}.")
    begun = time.monotonic()
    ecp5.version()
    try:
        pll = ulx3s.Pll.near(clock_mhz or CLOCK_MHZ)
        board = ulx3s.Ulx3s(config, pll)
    except ValueError as error:
        raise BadInput(str(error)) from None
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)

    sources = [*simulators.verilog(config), _text(ulx3s.convert(board, TOP), f"{TOP}.v")]
    pins = _text(ulx3s.constraints(), f"{TOP}.lpf")
    report("Yosys: mapping Verilog to cells")
    netlist = ecp5.synthesize(sources, TOP)
    _check_size(netlist)
    best = None
    for seed in range(1, SEEDS + 1):
        report(f"nextpnr: placing and routing for {pll.mhz:g} MHz, seed {seed}")
        layout = ecp5.place_and_route(netlist, ulx3s.constraints(), clock_mhz=pll.mhz, seed=seed)
        fmax = layout.fmax_mhz(CLOCK_NET)
        report(f"nextpnr: {fmax:.1f} MHz")
        if best is None or fmax > best[0]:
            best = fmax, seed, layout
        if fmax >= pll.mhz:
            break
    fmax, seed, layout = best
    report("ecppack: writing the bitstream")
    bitstream = ecp5.pack(layout)

    used = layout.report["utilization"]
    metrics = {
        **{name: used[cell]["used"] for name, cell in CELLS.items()},
        "available": {name: used[cell]["available"] for name, cell in CELLS.items()},
        "distributed": netlist.distributed,
        "clock_mhz": pll.mhz,
        "fmax_mhz": round(fmax, 2),
        "met": fmax >= pll.mhz,
        "seed": seed,
        "critical_path": layout.critical_path(CLOCK_NET),
        "device": TARGETS[target],
        "seconds": round(time.monotonic() - begun, 1),
        "left_out": list(LEFT_OUT),
    }
    for path in (
        *sources,
        pins,
        netlist.folder / "yosys.log",
        layout.folder / "nextpnr-ecp5.log",
        layout.folder / "nextpnr.json",
        bitstream.with_name("ecppack.log"),
        bitstream,
    ):
        with atomic_write(folder / path.name) as temporary:
            shutil.copyfile(path, temporary)
    return metrics


def _text(content: str, name: str) -> Path:
    """Return a file with this content in the cache."""

    def make(folder: Path) -> None:
        (folder / name).write_text(content, encoding="utf-8")

    return cached("text", [content, name], make) / name


def _check_size(netlist: ecp5.Netlist) -> None:
    """Raise BadInput if multipliers or memories do not fit; nextpnr would search for minutes."""
    for cell, what in (("MULT18X18D", "multipliers"), ("DP16KD", "block RAMs")):
        needed, available = netlist.cells.get(cell, 0), AVAILABLE[cell]
        if needed > available:
            raise BadInput(
                f"The accelerator does not fit an {ulx3s.DEVICE}: "
                f"it needs {needed} {what} of {available}. Reduce rows or columns."
            )


AVAILABLE = {"MULT18X18D": 156, "DP16KD": 208}
"""Resources of an LFE5U-85F."""

DEVICES = {"ecp5-85f": {name: AVAILABLE[CELLS[name]] for name in ("dsps", "brams")}}
"""Resources that limit a design, by device."""


def describe(metrics: dict) -> str:
    """Return the text of the report."""
    lines = [metrics["device"]]
    for name, cell in CELLS.items():
        used, available = metrics[name], metrics["available"][name]
        lines.append(f"  {cell:12} {used:6} of {available:6} {used / available:6.1%}")
    for memory, bits in metrics["distributed"].items():
        lines.append(f"  {bits} bits in LUTs: {memory}")
    path, status = metrics["critical_path"], "met" if metrics["met"] else "missed"
    lines += [
        "",
        f"Clock at most {metrics['fmax_mhz']:.1f} MHz: {metrics['clock_mhz']:g} MHz {status}",
        f"  from {path['start']}",
        f"  to   {path['end']}, {path['routing_ns']:.2f} of {path['delay_ns']:.2f} ns routing",
        *(f"       {step}" for step in path["steps"]),
        "",
        "Left out:",
        *(f"  {what}" for what in metrics["left_out"]),
    ]
    return "\n".join(lines)
