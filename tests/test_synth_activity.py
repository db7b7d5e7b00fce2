import re
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import synth_library as small

from implicore.accelerator_config import ACCELERATORS
from implicore.errors import BadInput
from implicore.network_shape import NETWORKS
from implicore.random_program import random_program
from implicore.sim import fast, simulators
from implicore.sim.script import Script
from implicore.sim.simulators import find_icarus
from implicore.synth import activity, asic, energy, yosys
from implicore.synth.circuit import Circuit
from implicore.synth.liberty import read_liberty
from implicore.synth.netlist import Netlist

SMALL, NETWORK, FORMATS, mapped = small.SMALL, small.NETWORK, small.FORMATS, small.mapped

MODELS = "read_liberty -ignore_miss_func {}\nwrite_verilog -noattr cells.v\n"


@pytest.fixture(scope="module", params=["osu018", "ihp-sg13g2"])
def cells(request):
    return small.cells(request.param)


def changes(vcd: str) -> dict[tuple[str, int], list[int]]:
    """Return the times at which each bit of a waveform settles to another level."""
    names, values, before, found = {}, {}, {}, {}
    for line in re.finditer(r"\$var \w+ (\d+) (\S+) (\S+)(?: \[\S+\])? \$end", vcd):
        names.setdefault(line[2], []).append((line[3].lstrip("\\"), int(line[1])))
    for block in re.split(r"^#", vcd, flags=re.M)[1:]:
        time, *lines = block.splitlines()
        for line in lines:
            if one := re.fullmatch(r"b(\w+) (\S+)", line) or re.fullmatch(r"([01xz])(\S+)", line):
                values[one[2]] = one[1]
        for code, value in values.items():
            for name, width in names.get(code, ()):
                bits = value.rjust(width, "0" if value[0] in "01" else value[0])
                for bit, level in enumerate(reversed(bits)):
                    if {level, before.get((name, bit))} == {"0", "1"}:
                        found.setdefault((name, bit), []).append(int(time))
                    before[name, bit] = level
    return found


BENCH = """`timescale 1ns/1ns
module bench;
  reg clk = 0;
  reg [7:0] weights [0:CYCLES], activations [0:CYCLES], ends [0:CYCLES];
  reg [5:0] weight, activation;
  reg done;
  integer cycle = 0;
  unit unit (.clk(clk), .weight_in(weight), .activation_in(activation), .done(done));
  initial begin
    $readmemh("weight_in", weights);
    $readmemh("activation_in", activations);
    $readmemh("done", ends);
    weight = weights[0]; activation = activations[0]; done = ends[0];
    $dumpfile("waves.vcd");
    $dumpvars(1, unit);
    #10 forever begin
      clk = 1; cycle = cycle + 1;
      if (cycle == CYCLES) $finish;
      #5 clk = 0; #5;
    end
  end
  always @(posedge clk) begin
    weight <= weights[cycle]; activation <= activations[cycle]; done <= ends[cycle];
  end
endmodule
"""


def test_net_transitions_equal_those_in_icarus(cells, tmp_path):
    """A processing element, with the cells that Yosys reads from the same library."""
    icarus = find_icarus()
    unit = mapped(SMALL, cells).modules[asic.PE]
    netlist = Netlist.read(unit.folder / "netlist.json", unit.name)
    yosys.yosys(
        f"read_json {unit.folder / 'netlist.json'}\nrename {unit.name} unit\n"
        "write_verilog -norename -noattr unit.v\n"
        f"design -reset\n{MODELS.format(cells.liberty)}",
        tmp_path,
    )
    cycles, first = 300, 10
    rng = np.random.default_rng(0)
    inputs = {
        "weight_in": rng.integers(0, 64, cycles),
        "activation_in": rng.integers(0, 64, cycles) * rng.integers(0, 2, cycles),
        "done": (rng.integers(0, 8, cycles) == 0) | (np.arange(cycles) < 5),
    }
    for name, values in inputs.items():
        (tmp_path / name).write_text("\n".join(f"{value:x}" for value in values) + "\n0\n0\n")
    (tmp_path / "bench.v").write_text(BENCH.replace("CYCLES", str(cycles + 1)))
    sources = ["bench.v", "unit.v", "cells.v"]
    subprocess.run([icarus.command, "-g2012", "-o", "run", *sources], cwd=tmp_path, check=True)
    subprocess.run(["vvp", "-n", "run"], cwd=tmp_path, check=True, capture_output=True)
    seen = changes((tmp_path / "waves.vcd").read_text())

    circuit = Circuit(unit.name, {unit.name: netlist}, read_liberty(cells.liberty).cells)
    given = {name: np.asarray(values, int)[:, None] for name, values in inputs.items()}
    _, counted = activity.replay(circuit, given, first=first)
    states = {state for _, state, _ in circuit.flop_nets}
    compared = 0
    for name, bits in netlist.names.items():
        for place, bit in enumerate(bits):
            net = circuit.groups[0].nets.get(bit)
            if name == "clk" or net is None:
                continue
            # A cycle of the window ends with the edge at which flip-flops change.
            window = range(first, cycles) if net not in states else range(first + 1, cycles + 1)
            expected = sum(time // 10 in window for time in seen.get((name, place), ()))
            assert counted.toggles[net] == expected, (name, place)
            compared += expected > 0
    assert compared > 150


def decode(design, program, points, *, seed, circuit=None):
    script = Script(design.config)
    script.load(program)
    script.points(points)
    circuit = circuit or energy.circuit_of(design)
    run = activity.decode(circuit, script.operations, activity.Window(2, 4), seed=seed)
    return script.mismatches(run.responses), run


def coordinates(count):
    return np.random.default_rng(2).integers(-(1 << 15), 1 << 15, (count, 3))


def test_netlist_decodes_from_any_power_up_state(cells):
    """From reset, through the loading of a program, to the last voxel."""
    design = mapped(SMALL, cells)
    for seed in (0, 1, 2):
        program = random_program(NETWORK, FORMATS, seed=seed)
        mismatches, run = decode(design, program, coordinates(9), seed=seed)
        assert not mismatches
        assert run.activity.cycles > 0


def test_wrong_cell_is_detected():
    """One gate of a module is replaced. A few gates affect no voxel of this test."""
    design = mapped(SMALL, small.cells("osu018"))
    program = random_program(NETWORK, FORMATS, seed=1)
    library = read_liberty(design.target.liberty).cells
    macros = {memory.macro.name: memory.macro for memory in design.memories.values()}
    kinds = {"NAND2X1": "NOR2X1", "XNOR2X1": "XOR2X1"}
    for name in (asic.PE, "implicore_requantizer", "implicore_fourier_lane"):
        netlists = activity.netlists_of(design)
        cells = netlists[name].cells
        some = [one for one in cells.items() if one[1][0] in kinds][:3]
        noticed = []
        for cell, (kind, pins) in some:
            cells[cell] = kinds[kind], pins
            broken = Circuit("implicore", netlists, library, macros)
            noticed += decode(design, program, coordinates(9), seed=0, circuit=broken)[0][:1]
            cells[cell] = kind, pins
        assert len(noticed) >= 2, name


def test_memory_accesses_equal_the_prediction(cells):
    design = mapped(SMALL, cells)
    program = random_program(NETWORK, FORMATS, seed=3)
    found = energy.simulate(design, program, tiles=3)  # compares the accesses
    expected = energy.accesses(SMALL, NETWORK, 3)
    assert {role for role, count in expected.items() if count.reads} == set(expected)
    found.activity.reads[0] += 1
    with pytest.raises(BadInput, match="memory were read and written .* not .* as predicted"):
        energy._check_accesses(design, program, found, 3)


@pytest.mark.parametrize(("library", "voxels_per_beat"), [("ihp-sg13g2", 1), ("osu018", 8)])
def test_patches_are_decoded_by_the_netlist(library, voxels_per_beat):
    """Whole points, and the accesses to all memories in a window of whole voxel tiles."""
    config = replace(small.PATCH, voxels_per_beat=voxels_per_beat)
    program = random_program(small.PATCH_NETWORK, FORMATS, seed=3, patch=(3, 1, 2))
    found = energy.simulate(mapped(config, small.cells(library)), program)
    expected = energy.accesses(config, small.PATCH_NETWORK, 2)
    words = -(-6 // voxels_per_beat)
    assert (expected["voxels"].reads, expected["voxels"].writes) == (2 * 2 * words, 2 * 2 * words)
    assert found.voxels % 6 == 0 and found.voxels >= 5 * 2 * 6


def test_window_ends_with_a_full_beat():
    assert energy.whole_beats(2, 12, 1) == energy.whole_beats(2, 12, 4) == 2
    assert energy.whole_beats(2, 12, 8) == 2 and energy.whole_beats(3, 12, 8) == 4
    assert energy.whole_beats(2, 27, 8) == 8


def test_pe_operands_are_recorded(monkeypatch):
    design = mapped(SMALL, small.cells("osu018"))
    program = random_program(NETWORK, FORMATS, seed=4)
    found = energy.simulate(design, program, tiles=2)
    assert {name: array.shape for name, array in found.operands.items()} == dict.fromkeys(
        ("activation_in", "done", "weight_in"), (found.activity.cycles, 6)
    )
    weights = found.operands["weight_in"].reshape(-1, 2, 3)  # rows, columns
    assert (weights[1:, 1] == weights[:-1, 0]).all()  # down a row a cycle later
    activations = found.operands["activation_in"].reshape(-1, 2, 3)
    assert (activations[1:, :, 1:] == activations[:-1, :, :-1]).all()
    assert len(np.unique(activations)) > 20
    monkeypatch.setattr(energy, "SAMPLE", 2)  # of the PEs, the first and the last
    sample = energy.simulate(design, program, tiles=2).operands
    for name, array in found.operands.items():
        assert (sample[name] == array[:, [0, -1]]).all()


def test_simulator_is_compiled_once(cells, monkeypatch, tmp_path):
    top = Netlist({"clk": ("input", [2]), "a": ("input", [3]), "y": ("output", [3])}, {}, {})
    circuit = Circuit("top", {"top": top}, read_liberty(cells.liberty).cells)
    monkeypatch.setenv("IMPLICORE_CACHE", str(tmp_path))
    for _ in range(2):
        activity.replay(circuit, {"a": np.zeros((3, 1))})
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 1


def test_missing_compiler_is_reported(monkeypatch):
    monkeypatch.setattr(activity, "COMPILER", "no-such-compiler")
    circuit = Circuit("top", {"top": Netlist({"clk": ("input", [2])}, {}, {})}, {})
    with pytest.raises(
        BadInput, match=r"^Gate-level simulation needs .*: apt-get install g\+\+\.$"
    ):
        activity.decode(circuit, [], activity.Window(0, 1))


@pytest.mark.slow
def test_verilator_decodes_on_the_netlist_of_tiny(tmp_path):
    """Only the netlist comes from this flow; Verilator uses the cells as Yosys reads them."""
    cells = small.cells("osu018")
    config = ACCELERATORS["tiny"]
    design = mapped(config, cells)
    memories = simulators.verilog(config)[1]
    yosys.yosys(MODELS.format(cells.liberty), tmp_path)
    netlists = [
        module.folder / "netlist.v"
        for name, module in design.modules.items()
        if name not in design.memories
    ]
    sources = [*netlists, memories, tmp_path / "cells.v"]
    simulator = fast.build(config, sources=sources, optimize=False)
    script = Script(config)
    script.load(random_program(NETWORKS["fast"], config.formats, seed=5))
    script.points(coordinates(10))
    assert not script.mismatches(simulator.run(script.operations))
