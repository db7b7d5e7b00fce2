"""The flow of one target for one accelerator: metrics, and a folder with all results."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from implicore.accelerator_config import AcceleratorConfig
from implicore.atomic import atomic_write, make_folder, write_json
from implicore.errors import BadInput
from implicore.program import Program

from . import asic, energy, fpga, generic
from .asic import Design
from .target import find

LEFT_OUT = (
    "wires: no placement, no routing, no parasitics",
    "the clock tree: the clock is ideal, its energy is that of the flip-flops' pins",
    "glitches: activity comes from a simulation without delays",
    "hold times, scan chains, pads, the power grid, macro keep-outs",
)
"""What the metrics of an ASIC do not include."""


def synthesize(
    config: AcceleratorConfig,
    target: str,
    folder: str | Path,
    *,
    clock_mhz: float | None = None,
    program: Program | None = None,
    scan: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> dict:
    """Run the flow of a target on an accelerator.

    The folder receives ``report.json`` and ``report.txt``, for a cell library also the mapped
    ``netlist.v``, with the modules of the Verilog, and for an FPGA the bitstream.

    Parameters
    ----------
    config : AcceleratorConfig
    target : str
        ``generic`` (gates, without area and clock), an FPGA board (``fpga.TARGETS``), or a cell
        library (``target.find``).
    folder : path-like
        Created if it does not exist.
    clock_mhz : float, optional
        Clock to map for. The default is that of the PE with the smallest product of area and
        period.
    program : Program, optional
        Program to decode for the activity. Without it, energy is not measured.
    scan : bool
        Use clock gates with a test enable and give the netlist the input ``test_enable``, which is
        0 in all that is measured.
    report : callable
        Called with a line of progress.

    Returns
    -------
    dict
        The metrics of ``implicore synth``.

    Raises
    ------
    BadInput
        The target cannot do what is asked for.
    """
    library = None if target == "generic" or target in fpga.TARGETS else find(target)
    if scan:
        if library is None:
            raise BadInput(f"The target {target} is no cell library: omit --scan or choose one.")
        library = library.for_scan()
    if program is not None and library is None:
        raise BadInput(
            f"The target {target} has no energy model: omit --program or choose a cell library."
        )
    folder = make_folder(folder)
    began = time.perf_counter()
    if target == "generic":
        metrics = generic.count_gates(config)
        lines = generic.describe(metrics)
    elif target in fpga.TARGETS:
        metrics = fpga.synthesize_fpga(config, target, folder, clock_mhz=clock_mhz, report=report)
        lines = fpga.describe(metrics).splitlines()
    else:
        assert library is not None
        report(f"mapping to {library.title}")
        design = asic.map_accelerator(config, library, clock_mhz=clock_mhz)
        report("timing the whole accelerator")
        metrics = area_and_clock(design)
        if program is not None:
            report("simulating a decode at gate level")
            metrics |= energy.measure(design, program, metrics["clock_mhz"], folder)
            for block, powers in metrics.pop("power_blocks").items():
                metrics["blocks"].setdefault(block, {"area_um2": 0.0}).update(powers)
        lines = describe(metrics)
        with atomic_write(folder / "netlist.v") as temporary, open(temporary, "w") as netlist:
            for module in design.modules.values():
                netlist.write((module.folder / "netlist.v").read_text(encoding="utf-8"))
    metrics["seconds"] = round(time.perf_counter() - began, 2)
    write_json(folder / "report.json", metrics)
    with atomic_write(folder / "report.txt") as temporary:
        Path(temporary).write_text("\n".join(lines) + "\n", encoding="utf-8")
    for line in lines:
        report(line)
    return metrics


def area_and_clock(design: Design) -> dict:
    """Return the area of each block and the clock of a mapped accelerator."""
    target, areas, path = design.target, design.block_areas, design.paths[0]
    return {
        "target": target.title,
        "library": target.liberty.name,
        "corner": target.corner,
        "memories": target.memories,
        "area_um2": design.area_um2,
        "logic_area_um2": design.logic_area_um2,
        "blocks": {block: {"area_um2": area} for block, area in areas.items()},
        "pe_area_um2": design.modules[asic.PE].area_um2,
        "mapped_for_mhz": 1000 / design.period_ns,
        "fmax_mhz": design.fmax_mhz,
        "clock_mhz": design.fmax_mhz,
        "pe_fmax_mhz": design.pe_fmax_mhz,
        "critical_path": {
            "start": path.start,
            "end": path.end,
            "delay_ns": path.delay_ns,
            "cells": [f"{at:.3f} ns {pin}" for at, pin in path.steps],
        },
        "macros": {memory.role: memory.tiling for memory in design.memories.values()},
        "left_out": list(LEFT_OUT),
    }


def describe(metrics: dict) -> list[str]:
    """Return the lines of the report."""
    blocks = sorted(metrics["blocks"].items(), key=lambda item: -item[1]["area_um2"])
    total = metrics["area_um2"]
    path = metrics["critical_path"]
    lines = [
        f"{metrics['target']}, {metrics['corner']} ({metrics['library']})",
        f"Memories: {metrics['memories']}",
        "",
        f"Area {total / 1e6:.3f} mm2, {metrics['logic_area_um2'] / 1e6:.3f} mm2 without memories",
    ]
    for block, values in blocks:
        share = values["area_um2"] / total
        macro = metrics["macros"].get(block.removeprefix("memory "), "")
        lines.append(f"  {block:18} {values['area_um2']:12,.0f} um2 {share:6.1%}  {macro}".rstrip())
    lines += [
        "",
        f"Clock {metrics['fmax_mhz']:.0f} MHz; one processing element alone "
        f"{metrics['pe_fmax_mhz']:.0f} MHz ({metrics['pe_area_um2']:,.0f} um2)",
        f"  from {path['start']}",
        f"  to   {path['end']}",
    ]
    lines += [f"       {cell}" for cell in path["cells"]]
    if "power_mw" in metrics:
        lines += describe_energy(metrics)
    lines += ["", "Left out:", *(f"  {what}" for what in metrics["left_out"])]
    return lines


def describe_energy(metrics: dict) -> list[str]:
    """Return the lines of the report on energy."""
    bare = metrics["bare"]
    lines = [
        "",
        f"Power {metrics['power_mw']:.1f} mW at {metrics['clock_mhz']:.0f} MHz",
        f"  {metrics['pj_per_mac']:.2f} pJ a multiply-accumulate, "
        f"{metrics['nj_per_voxel']:.1f} nJ a voxel, "
        f"{metrics['mj_per_slice']:.3f} mJ a slice of 256 x 256",
        f"  {metrics['voxels_per_second']:,.0f} voxels a second, "
        f"{metrics['voxels_per_joule']:,.0f} voxels a joule",
        f"  {'':18} {'mW':>9} {'logic':>9} {'clock':>9} {'SRAM':>9} {'leakage':>9}",
    ]
    powered = [item for item in metrics["blocks"].items() if "power_mw" in item[1]]
    for block, values in sorted(powered, key=lambda item: -item[1]["power_mw"]):
        names = ("power_mw", "data_mw", "clock_mw", "sram_mw", "leakage_mw")
        numbers = " ".join(f"{values[name]:9.3f}" for name in names)
        lines.append(f"  {block:18} {numbers}")
    return [
        *lines,
        "",
        f"The bare multiply-accumulate on the same operands: {bare['area_um2']:,.0f} um2, "
        f"{bare['fmax_mhz']:.0f} MHz, {bare['pj']:.2f} pJ",
        f"  one processing element: {bare['pe_area']:.2f} times the area, "
        f"{bare['pe_energy']:.2f} times the energy",
        f"  the whole accelerator: {bare['logic_area']:.2f} times the area without memories, "
        f"{bare['accelerator_energy']:.2f} times the energy with them",
        "",
        f"Activity: {metrics['activity']}",
        f"  {metrics['annotated']:.1%} of the nets are annotated",
    ]
