"""Synthesis without a cell library: counts of gates, flip-flops and transistors."""

from __future__ import annotations

import json
from pathlib import Path

from implicore.accelerator_config import AcceleratorConfig
from implicore.cache import cached
from implicore.sim import simulators

from . import blocks, mapping, yosys

GATES = "AND,NAND,OR,NOR,XOR,XNOR,MUX,AOI3,OAI3"


def count_gates(config: AcceleratorConfig) -> dict:
    """Count gates, flip-flops and CMOS transistors (Yosys' estimate) of an accelerator.

    Memories are not mapped; their bits are counted separately.

    Returns
    -------
    dict
        ``gates``, ``ffs``, ``transistors``, ``memory_bits``; ``blocks`` has the first three of
        each block.
    """
    logic, banks = simulators.verilog(config)
    modules = mapping.split(logic.read_text(encoding="utf-8"))
    memories = mapping.split(banks.read_text(encoding="utf-8"))
    listed = json.loads((logic.parent / "implicore.json").read_text(encoding="utf-8"))["memories"]
    jobs = [
        (module.name, text, stubs, children)
        for module, text, children, stubs in mapping.merged(modules | memories)
        if module.name not in memories
    ]
    counted = mapping.map_all(jobs, lambda job: _count(*job[:3]))
    children = {job[0]: job[3] for job in jobs}
    zero = {"gates": 0, "ffs": 0, "transistors": 0}
    by_module = {job[0]: counts for job, counts in zip(jobs, counted, strict=True)}
    total = dict(zero)
    by_block: dict[str, dict[str, int]] = {}
    for name, block, times in blocks.instances(children, {}):
        if name in memories:
            continue
        into = by_block.setdefault(block, dict(zero))
        for field in total:
            into[field] += times * by_module[name][field]
            total[field] += times * by_module[name][field]
    return {
        "target": "generic gates",
        **total,
        "memory_bits": sum(ram["depth"] * ram["width"] * ram["instances"] for ram in listed),
        "blocks": by_block,
        "left_out": ["memories (only bits are counted)", "area, clock and energy: no library"],
    }


def _count(name: str, source: str, stubs: str) -> dict[str, int]:
    script = f"""read_verilog -DSYNTHESIS module.v
read_verilog stubs.v
hierarchy -check -top {name}
synth -top {name} -flatten
abc -g {GATES}
opt_clean -purge
tee -q -o stat.json stat -json -tech cmos
"""

    def make(folder: Path) -> None:
        (folder / "module.v").write_text(source, encoding="utf-8")
        (folder / "stubs.v").write_text(stubs, encoding="utf-8")
        yosys.yosys(script, folder)

    folder = cached("gates", [source, stubs, script, yosys.version()], make)
    stat = json.loads((folder / "stat.json").read_text(encoding="utf-8"))["design"]
    cells = {kind: count for kind, count in stat["num_cells_by_type"].items() if kind[0] == "$"}
    ffs = sum(count for kind, count in cells.items() if "DFF" in kind)
    # Yosys appends a plus sign where it does not know the transistors of a flip-flop.
    transistors = int(str(stat.get("estimated_num_transistors", 0)).rstrip("+"))
    return {"gates": sum(cells.values()) - ffs, "ffs": ffs, "transistors": transistors}


def describe(metrics: dict) -> list[str]:
    """Return the lines of the report."""
    lines = [
        f"{metrics['gates']:,} gates, {metrics['ffs']:,} flip-flops, "
        f"{metrics['transistors']:,} transistors and {metrics['memory_bits']:,} bits of memory",
    ]
    for block, figure in sorted(metrics["blocks"].items(), key=lambda item: -item[1]["gates"]):
        lines.append(f"  {block:18} {figure['gates']:9,} gates {figure['ffs']:8,} flip-flops")
    return [*lines, "", "Left out:", *(f"  {what}" for what in metrics["left_out"])]
