"""The whole accelerator in every simulator, from one description of a session."""

from dataclasses import replace

import numpy as np
import pytest

from implicore.accelerator_config import AcceleratorConfig
from implicore.formats import Formats
from implicore.job import GridJob
from implicore.network_shape import NetworkShape
from implicore.process import ToolFailed
from implicore.random_program import random_program
from implicore.registers import IDENTITY, Error, Response, addresses
from implicore.sim import cosim, fast, simulators
from implicore.sim.script import Script
from implicore.sim.session import Access, Idle, Post, ReadWord, Write
from implicore.stream import program_stream

SHAPE = NetworkShape(3, 5, 3, (2,))
CONFIG = AcceleratorConfig.sized(3, 2, Formats.parse("w8a8m3"), [SHAPE])
PROGRAM = random_program(SHAPE, CONFIG.formats, seed=1)
OTHER = random_program(NetworkShape(2, 4, 1), CONFIG.formats, seed=2)
POINTS = np.random.default_rng(3).integers(-(1 << 15), 1 << 15, (8, 3))
JOB = GridJob.of(PROGRAM.grid.scaled(0.4), PROGRAM.frame)


PATCHES = NetworkShape(3, 5, 3, (2,), outputs=7)
"""Its points have no full beats, so beats hold voxels of two points."""


def build(simulator, config=CONFIG, **options):
    if simulator == "fast":
        return fast.build(config, optimize=False, **options)
    return cosim.build(config, simulator, optimize=False, **options)


def beats_of(count: int) -> AcceleratorConfig:
    """The accelerator for patches with a number of voxels per beat."""
    config = AcceleratorConfig.sized(3, 2, CONFIG.formats, [SHAPE, PATCHES])
    return replace(config, voxels_per_beat=count)


SIMULATORS = ["icarus", "verilator", "fast"]


@pytest.fixture(scope="module", params=SIMULATORS)
def simulator(request):
    return build(request.param)


def every_operation(stall=0.0, config=CONFIG, program=PROGRAM) -> Script:
    script = Script(config, stall)
    good = program_stream(program, config)
    script.rejected("start_points", Error.NO_PROGRAM)
    script.do(Access(addresses()["identity"]), (Response.OKAY, IDENTITY))
    script.do(Access(addresses()["identity"], 5), (Response.SLVERR, 0))
    script.do(Access(addresses()["interrupt_enable"], 5), (Response.OKAY, 0))
    script.do(Access(addresses()["interrupt_enable"]), (Response.OKAY, 5))
    script.do(Access(252), (Response.SLVERR, 0))
    script.do(Access(252, 7), (Response.SLVERR, 0))
    origin = addresses()["grid_origin"]
    script.do(Write(origin, 0x12345678))
    script.do(Access(origin, 0xFFFFFFFF, strobes=6), (Response.OKAY, 0))
    script.do(ReadWord(origin), 0x12FFFF78)
    script.do(Post(origin, 9))
    script.do(Post(origin, 10))
    script.do(Post(origin))
    script.do(Write(origin + 4, 1))  # after the posted writes
    script.do(ReadWord(origin), 10)
    script.load(program)
    script.points(POINTS)
    script.load_damaged(good[:-3], Error.CUT_SHORT)
    script.load_part(good, 30)
    script.rejected("start_grid", Error.NO_PROGRAM)
    script.load(OTHER)
    script.points(POINTS[:1])
    script.load(program)
    script.grid(JOB)
    script.interrupted(POINTS, 100, reset=False)
    script.points(POINTS)
    script.interrupted(POINTS, 60, reset=True)
    script.load(OTHER)
    script.grid(JOB)
    script.stalls(0.3)
    script.points(POINTS)
    script.stalls(0.0)
    script.points(POINTS)  # the cycles are exact again
    return script


@pytest.mark.parametrize(("stall", "seed"), [(0.0, 0), (0.4, 5)])
def test_every_host_operation(simulator, stall, seed):
    print("seed", seed)
    script = every_operation(stall)
    responses = simulator.run(script.operations, stall=stall, seed=seed)
    assert script.mismatches(responses) == []
    assert responses.cycles > 2000 and responses.seconds > 0


@pytest.mark.parametrize(
    ("name", "count"), [("icarus", 1), ("icarus", 2), ("verilator", 4), ("fast", 8)]
)
def test_every_host_operation_with_patches(name, count):
    config = beats_of(count)
    simulator = build(name, config)
    program = random_program(PATCHES, config.formats, seed=3, patch=(1, 7, 1))
    for stall in (0.0, 0.4):
        script = every_operation(stall, config, program)
        assert script.mismatches(simulator.run(script.operations, stall=stall, seed=5)) == []


@pytest.mark.parametrize(
    "operation", [Write(addresses()["identity"], 5), ReadWord(252)], ids=["write", "read"]
)
def test_an_access_that_is_answered_with_an_error_ends_the_session(simulator, operation):
    with pytest.raises(ToolFailed, match="was rejected: 2|is answered with an error"):
        simulator.run([operation])


def test_equal_seeds_stall_in_the_same_cycles(simulator):
    script = Script(CONFIG, 0.5)
    script.load(OTHER)
    script.points(POINTS)
    cycles = [
        simulator.run(script.operations, stall=0.5, seed=seed).cycles for seed in (1, 1, 2, 3)
    ]
    assert cycles[0] == cycles[1] and len(set(cycles)) > 1


# The compiled simulator leaves the comparison to its caller.
@pytest.mark.parametrize("simulator", ["icarus", "verilator"], indirect=True)
def test_bench_compares_the_responses(simulator):
    script = Script(CONFIG)
    script.load(PROGRAM)
    script.points(POINTS)
    expected = script.expected_words()
    simulator.run(script.operations, expected=expected)
    voxel = 5
    expected[voxel + 3] ^= 1
    with pytest.raises(ToolFailed, match=r"seed 9:\n.*voxel: response 8 is \d+, not"):
        simulator.run(script.operations, expected=expected, seed=9)
    with pytest.raises(ToolFailed, match=r"voxel: response 6 is"):
        simulator.run(script.operations, expected=expected[:6])


def broken(tmp_path, old, new, config=CONFIG):
    sources = []
    for path in simulators.verilog(config):
        text = path.read_text()
        sources.append(tmp_path / path.name)
        sources[-1].write_text(text.replace(old, new, 1))
    assert any(old in path.read_text() for path in simulators.verilog(config))
    return sources


@pytest.mark.parametrize("name", ["icarus", "fast"])
def test_broken_accelerator_is_detected(name, tmp_path):
    sources = broken(tmp_path, "words[write_address] <= write_data", "words[0] <= write_data")
    script = Script(CONFIG)
    script.load(PROGRAM)
    script.points(POINTS)
    try:
        found = script.mismatches(build(name, sources=sources).run(script.operations))
    except ToolFailed as error:
        found = str(error)
    assert found


@pytest.mark.parametrize("name", ["icarus", "fast"])
def test_withdrawn_voxel_is_detected(name, tmp_path):
    """The accelerator drops tvalid when a voxel has to wait."""
    port = "assign m_axis_voxels_tvalid = "
    sources = broken(tmp_path, port, "assign offered = ")
    text = sources[0].read_text()
    head = "  wire m_axis_voxels_tvalid;\n"
    assert head in text
    unstable = (
        head + "  wire offered; reg waited = 0; assign m_axis_voxels_tvalid = offered & ~waited;\n"
        "  always @(posedge clk) waited <= offered & ~waited & ~m_axis_voxels_tready;\n"
    )
    sources[0].write_text(text.replace(head, unstable, 1))
    script = Script(CONFIG, 0.6)
    script.load(PROGRAM)
    script.points(POINTS)
    with pytest.raises(ToolFailed, match="withdrawn"):
        build(name, sources=sources).run(script.operations, stall=0.6, seed=1)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("icarus", "kept ^ {4{waited}}", "changed"),
        ("icarus", "kept & 4'b1110", "tkeep does not name the first voxels"),
        ("icarus", "kept & 4'b0011", "a beat before the last one is not full"),
        ("fast", "kept ^ {4{waited}}", "changed"),
        ("fast", "kept & 4'b0011", "a beat before the last one is not full"),
    ],
)
def test_wrong_keep_is_detected(name, change, message, tmp_path):
    config = beats_of(2)
    sources = broken(tmp_path, "assign m_axis_voxels_tkeep = ", "assign kept = ", config)
    text = sources[0].read_text()
    head = "  wire [3:0] m_axis_voxels_tkeep;\n"
    assert text.count(head) == 1
    wrong = (
        f"{head}  wire [3:0] kept; reg waited = 0; assign m_axis_voxels_tkeep = {change};\n"
        "  always @(posedge clk) waited <= m_axis_voxels_tvalid & ~m_axis_voxels_tready;\n"
    )
    sources[0].write_text(text.replace(head, wrong))
    script = Script(config, 0.6)
    script.load(PROGRAM)
    script.points(POINTS)
    with pytest.raises(ToolFailed, match=message):
        build(name, config, sources=sources).run(script.operations, stall=0.6, seed=1)


def test_second_build_comes_from_the_cache(simulator, monkeypatch):
    def never(*arguments, **options):
        raise AssertionError("built again")

    monkeypatch.setattr(simulators, "run", never)
    monkeypatch.setattr("cocotb_tools.runner.Runner.build", never)
    assert build(getattr(simulator, "name", "fast")) == simulator


@pytest.mark.parametrize("name", ["icarus", "fast"])
def test_verilog_syntax_error_is_reported(name, tmp_path):
    sources = broken(tmp_path, "endmodule", "endmodul")
    with pytest.raises(ToolFailed, match=r"(?s)^\w+ failed.*syntax error"):
        build(name, sources=sources)


def test_unknown_output_is_detected(tmp_path):
    """A memory that is never written: two-state simulators would read zeros."""
    sources = broken(tmp_path, "if (write_enable)", "if (1'b0)")
    script = Script(CONFIG)
    script.load(PROGRAM)
    script.points(POINTS)
    with pytest.raises(ToolFailed, match=r"m_axis_voxels_tdata.* unknown in cycle"):
        build("icarus", sources=sources).run(script.operations)


@pytest.mark.parametrize(
    "port", ["s_axi_awaddr", "s_axi_wdata", "s_axi_arprot", "s_axis_points_tlast"]
)
def test_use_of_a_payload_without_valid_is_detected(port, tmp_path):
    sources = broken(tmp_path, ".interrupt(irq)", ".interrupt(pending)")
    text = sources[0].read_text()
    head = "  wire irq;\n"
    assert text.count(head) == 1
    # Without unknown values, this changes nothing.
    leak = f"{head}  wire pending;\n  assign irq = pending ^ (^{port} & ~^{port});\n"
    sources[0].write_text(text.replace(head, leak))
    with pytest.raises(ToolFailed, match=r"\['irq'\] unknown in cycle"):
        build("icarus", sources=sources).run([Idle(5)])


def test_zero_gating_decodes_correctly():
    config = replace(CONFIG, gate_zeros=True)
    script = Script(config)
    script.load(PROGRAM)
    script.points(POINTS)
    assert script.mismatches(cosim.build(config, "icarus").run(script.operations)) == []
