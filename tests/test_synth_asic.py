from dataclasses import replace

import pytest

from implicore.accelerator_config import AcceleratorConfig
from implicore.formats import Formats
from implicore.network_shape import NetworkShape
from implicore.synth import asic, synthesize, target
from implicore.synth.generic import count_gates

SHAPE = NetworkShape(frequencies=3, width=5, depth=2)
CONFIG = AcceleratorConfig.sized(2, 3, Formats.parse("w4a6t6"), [SHAPE])


@pytest.fixture(scope="module")
def osu():
    return target.find("osu018")


@pytest.fixture(scope="module")
def design(osu):
    return asic.map_accelerator(CONFIG, osu)


def test_every_block_is_counted_once(design):
    counts = {}
    for name, block, times in design.instances:
        counts[name] = counts.get(name, 0) + times
        assert times > 0 and block
    assert counts[asic.PE] == 2 * 3 + 2  # an output-layer MAC a row
    assert counts["implicore_ram_weights"] == CONFIG.weight_banks
    assert counts["implicore_ram_hidden"] == 2
    assert design.area_um2 == pytest.approx(sum(design.block_areas.values()))
    memories = {f"memory {memory.role}" for memory in design.memories.values()}
    assert memories <= set(design.block_areas)
    pes = 6 * design.modules[asic.PE].area_um2
    assert pes < design.block_areas["array"] < 1.5 * pes


def test_row_area_is_proportional_to_rows(design, osu):
    taller = asic.map_accelerator(replace(CONFIG, rows=4), osu, clock_mhz=1000 / design.period_ns)
    for block in ("array", "row units", "requantizers"):
        assert taller.block_areas[block] == pytest.approx(2 * design.block_areas[block], rel=0.01)
    assert taller.modules[asic.PE] == design.modules[asic.PE]  # mapped once for both


def test_clock_follows_from_the_longest_path(design):
    delays = [path.delay_ns for path in design.paths]
    assert delays == sorted(delays, reverse=True)
    assert design.fmax_mhz == 1000 / delays[0]
    assert design.fmax_mhz <= design.pe_fmax_mhz
    starts = {path.start.split("/")[0] for path in design.paths}
    assert all(not start.startswith("_") for start in starts)  # names of the source


def test_memory_logic_is_timed_with_its_macros(design):
    """Its timing depends on the access time of the macros."""
    for name, memory in design.memories.items():
        period = design.modules[name].period_ns  # reported in steps of 10 ps
        assert period > memory.macro.access_ns - 0.01


def test_slower_clock_needs_less_area(design, osu):
    slow = asic.map_accelerator(CONFIG, osu, clock_mhz=50)
    assert slow.logic_area_um2 < design.logic_area_um2


def test_report_and_netlist_are_written(tmp_path, osu):
    lines = []
    metrics = synthesize(CONFIG, "osu018", tmp_path, report=lines.append)
    text = (tmp_path / "report.txt").read_text()
    assert "ESTIMATED memories" in text and "Left out:" in text and "clock tree" in text
    assert f"Clock {metrics['fmax_mhz']:.0f} MHz" in text and "array" in text
    assert (tmp_path / "report.json").is_file()
    netlist = (tmp_path / "netlist.v").read_text()
    assert netlist.count("\nmodule ") == len(set(netlist.split("\nmodule "))) - 1
    assert any("timing" in line for line in lines)
    again = synthesize(CONFIG, "osu018", tmp_path)
    assert again["seconds"] < 10 and {**again, "seconds": 0} == {**metrics, "seconds": 0}


def test_generic_gate_counts():
    found = count_gates(CONFIG)
    assert found["ffs"] == sum(block["ffs"] for block in found["blocks"].values())
    # A PE holds its operands, a product and a sum.
    formats = CONFIG.formats
    registers = 2 * (formats.weight_bits + formats.activation_bits) + formats.accumulator_bits
    assert found["blocks"]["array"]["ffs"] >= 6 * registers
    assert found["memory_bits"] > 0 and found["transistors"] > 4 * found["gates"]
