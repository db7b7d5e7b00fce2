"""An accelerator on a board: utilization, clock and a bitstream."""

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
"""Boards by the name of the target."""

CLOCK_MHZ = 100.0
"""Of the accelerator, unless another one is asked for."""

SEEDS = 3
"""Placements that are tried until one meets the clock."""

CELLS = {"luts": "TRELLIS_COMB", "ffs": "TRELLIS_FF", "dsps": "MULT18X18D", "brams": "DP16KD"}
"""What nextpnr calls them."""

CLOCK_NET = "$clk"
TOP = "ulx3s"

LEFT_OUT = (
    "delays are those of nextpnr's model of the device, speed grade 6, worst case",
    "paths to and from pins and from the button are not timed",
    "power is not estimated",
    "no board has run this bitstream",
)


def synthesize_fpga(
    config: AcceleratorConfig,
    target: str,
    folder: str | Path,
    *,
    clock_mhz: float | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> dict:
    """Put an accelerator on a board and write its bitstream.

    The folder gets the board's Verilog and pins, every tool's log, nextpnr's report and
    ``implicore.bit``. Where no placement meets the clock, those of the fastest one.

    Parameters
    ----------
    config : AcceleratorConfig
    target : str
        A name of ``TARGETS``.
    folder : path-like
        Made if there is none.
    clock_mhz : float, optional
        What the board's PLL shall make.
    report : callable
        Takes a line on what is going on.

    Returns
    -------
    dict
        ``luts``, ``ffs``, ``dsps``, ``brams``; ``available`` of each; ``distributed``: memories
        made of LUTs, and their bits; ``clock_mhz``, ``fmax_mhz``, ``met``, ``seed``;
        ``critical_path``, see ``ecp5.Layout``; ``device``, ``seconds``, ``left_out``.

    Raises
    ------
    BadInput
        A tool is missing, the PLL cannot make the clock, or the accelerator is too large.
    """
    if target not in TARGETS:
        raise BadInput(f"{target} is no FPGA target: they are {', '.join(TARGETS)}.")
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
    report("Yosys: Verilog to cells")
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
    report("ecppack: the bitstream")
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
    """A file of that content in the cache."""

    def make(folder: Path) -> None:
        (folder / name).write_text(content, encoding="utf-8")

    return cached("text", [content, name], make) / name


def _check_size(netlist: ecp5.Netlist) -> None:
    """BadInput if the device has too few multipliers or memories: nextpnr would search long."""
    for cell, what in (("MULT18X18D", "multipliers"), ("DP16KD", "block RAMs")):
        needed, there = netlist.cells.get(cell, 0), AVAILABLE[cell]
        if needed > there:
            raise BadInput(
                f"The accelerator does not fit an {ulx3s.DEVICE}: "
                f"it takes {needed} {what}, and there are {there}."
            )


AVAILABLE = {"MULT18X18D": 156, "DP16KD": 208}
"""Of an LFE5U-85F."""

DEVICES = {"ecp5-85f": {name: AVAILABLE[CELLS[name]] for name in ("dsps", "brams")}}
"""What has to fit, by the name of the device."""


def describe(metrics: dict) -> str:
    """The figures for people."""
    lines = [metrics["device"]]
    for name, cell in CELLS.items():
        used, there = metrics[name], metrics["available"][name]
        lines.append(f"  {cell:12} {used:6} of {there:6} {used / there:6.1%}")
    for memory, bits in metrics["distributed"].items():
        lines.append(f"  {bits} bits in LUTs: {memory}")
    path, verdict = metrics["critical_path"], "met" if metrics["met"] else "missed"
    lines += [
        "",
        f"Clock {metrics['fmax_mhz']:.1f} MHz at most: {metrics['clock_mhz']:g} MHz {verdict}",
        f"  from {path['start']}",
        f"  to   {path['end']}, {path['routing_ns']:.2f} of {path['delay_ns']:.2f} ns in wires",
        *(f"       {step}" for step in path["steps"]),
        "",
        "Left out:",
        *(f"  {what}" for what in metrics["left_out"]),
    ]
    return "\n".join(lines)
