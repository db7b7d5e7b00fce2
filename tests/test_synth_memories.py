import os
import random
import subprocess
from pathlib import Path

import pytest

from implicore.synth import memories, target


@pytest.fixture(scope="module")
def osu():
    return target.find("osu018")


@pytest.fixture(scope="module")
def ihp():
    if not os.environ.get("PDK_ROOT"):
        pytest.skip("PDK_ROOT is not set: the ihp-sg13g2 kit is not here")
    return target.find("ihp-sg13g2")


def entry(depth, width, *, both=False):
    return {
        "module": "bank",
        "role": "weights",
        "depth": depth,
        "width": width,
        "reads_while_written": both,
    }


def behaviour(macro) -> str:
    """An SRAM in Verilog: a read is valid in the next cycle and holds."""
    pins, address = macro.pins, max(1, (macro.depth - 1).bit_length())
    ports, always = [], []
    for name, pin in macro.cell.pins.items():
        bits = 1
        if pin.kind == "bus":
            bits = address if pins["address"] in name else macro.width
        way = "output reg" if name.endswith(pins["data_out"]) else "input"
        ports.append(f"{way} [{bits - 1}:0] {name}")
    for prefix in macro.prefixes:
        p = {name: prefix + pin for name, pin in pins.items() if isinstance(pin, str)}
        mask = p["mask"] if p.get("mask") in macro.cell.pins else f"{{{macro.width}{{1'b1}}}}"
        write = f"words[{p['address']}]"
        always.append(f"""always @(posedge {p["clock"]}) if ({p["enable"]}) begin
    if ({p["write"]}) {write} <= ({p["data_in"]} & {mask}) | ({write} & ~{mask});
    if ({p["read"]}) {p["data_out"]} <= words[{p["address"]}];
  end""")
    return (
        f"module {macro.name} ({', '.join(ports)});\n"
        f"  reg [{macro.width - 1}:0] words [0:{macro.depth - 1}];\n  "
        + "\n  ".join(always)
        + "\nendmodule\n"
    )


def works(memory, folder: Path, both: bool) -> None:
    """Random reads and writes of every part of a tiled memory, in Icarus."""
    pick = random.Random(memory.depth)
    known, lines, expected = {}, [], []
    held = None
    for step in range(400):
        write, read = pick.random() < 0.6, pick.random() < 0.6
        if not both and write:
            read = False
        at = pick.randrange(memory.depth)
        value = pick.getrandbits(memory.width)
        others = [address for address in known if address != at]
        read = read and bool(others) and step > 100
        source = pick.choice(others) if others else 0
        lines.append(
            f"  write_enable = {int(write)}; write_address = {at}; "
            f"write_data = {memory.width}'d{value}; "
            f"read_enable = {int(read)}; read_address = {source}; #1 clk = 1; #1 clk = 0;"
        )
        if read:
            held = known[source]
        if write:
            known[at] = value
        if held is not None:
            lines.append('  $display("%0d", read_data);')
            expected.append(held)
    bits = max(1, (memory.depth - 1).bit_length()) - 1
    bench = f"""module bench;
  reg clk = 0, write_enable, read_enable;
  reg [{bits}:0] write_address, read_address;
  reg [{memory.width - 1}:0] write_data;
  wire [{memory.width - 1}:0] read_data;
  bank bank (.clk(clk), .write_enable(write_enable), .write_address(write_address),
    .write_data(write_data), .read_enable(read_enable), .read_address(read_address),
    .read_data(read_data));
  initial begin
{chr(10).join(lines)}
  end
endmodule
"""
    macros = "".join(map(behaviour, memory.macros.values()))
    (folder / "bench.v").write_text(macros + memory.verilog + bench)
    subprocess.run(["iverilog", "-g2012", "-o", "bench", "bench.v"], cwd=folder, check=True)
    done = subprocess.run(["vvp", "bench"], cwd=folder, capture_output=True, text=True, check=True)
    assert [int(line) for line in done.stdout.split()] == expected


@pytest.mark.parametrize(
    ("depth", "width", "both"),
    [
        (1000, 8, False),
        (3840, 20, False),
        (192, 16, False),
        (300, 12, True),
        (640, 9, True),
        (600, 72, False),
        (90, 130, False),
    ],
)
def test_tiled_kit_macros_behave_as_one_memory(ihp, tmp_path, depth, width, both):
    memory = memories.choose(entry(depth, width, both=both), ihp, period_ns=4.1)
    assert memory.deep * memory.macro.depth >= depth
    assert sum(macro.width for macro in memory.tiles) >= width
    assert memory.macro.ports == 1 + both
    works(memory, tmp_path, both)


@pytest.mark.parametrize(
    ("depth", "width", "both"), [(1000, 8, False), (5, 3, True), (1, 1, False)]
)
def test_tiled_modelled_macros_behave_as_one_memory(osu, tmp_path, depth, width, both):
    works(memories.choose(entry(depth, width, both=both), osu, period_ns=4.1), tmp_path, both)


def test_choice_of_macros_depends_on_the_clock(ihp):
    fast = memories.choose(entry(128, 32, both=True), ihp, period_ns=3.0)
    slow = memories.choose(entry(128, 32, both=True), ihp, period_ns=10.0)
    assert (fast.deep, slow.deep) == (1, 2)  # to choose between two takes time
    assert slow.energy_pj(write=False) < fast.energy_pj(write=False)


def test_check_bits_beside_the_widest_macro_take_a_narrow_one(ihp):
    """72 bits are 64 and 8. A word that one macro holds is never split."""
    plain, protected = (
        memories.choose(entry(15360, bits), ihp, period_ns=3.3) for bits in (64, 72)
    )
    assert [macro.width for macro in protected.tiles] == [64, 8]
    assert len({macro.depth for macro in protected.tiles}) == 1
    assert plain.area_um2 < protected.area_um2 < 1.25 * plain.area_um2
    assert protected.energy_pj(write=False) < 1.25 * plain.energy_pj(write=False)
    assert "64" in protected.tiling and "x8" in protected.tiling
    for bits in (9, 17, 53, 60, 64):
        assert memories.choose(entry(300, bits), ihp, period_ns=3.3).narrow is None
