import pytest
import synth_library as small

from implicore.synth import boundary
from implicore.synth.boundary import INSTANCE, visible


@pytest.fixture
def liberty(tmp_path):
    small.library(tmp_path)
    return tmp_path / "small.lib"


def test_only_cells_between_ports_and_registers_are_kept(liberty):
    """in -> gate -> first -> deep -> between -> deeper -> last -> exit -> out; load hangs on in."""
    module = small.netlist(
        {"clk": 2, "in": 3},
        {"out": 20},
        gate=("INV", {"A": 3, "Y": 4}),
        first=("DFF", {"D": 4, "CK": 2, "R": 30, "Q": 5}),
        deep=("INV", {"A": 5, "Y": 6}),
        between=("DFF", {"D": 6, "CK": 2, "R": 30, "Q": 7}),
        deeper=("INV", {"A": 7, "Y": 8}),
        last=("DFF", {"D": 8, "CK": 2, "R": 30, "Q": 9}),
        exit=("INV", {"A": 9, "Y": 20}),
        load=("INV", {"A": 9, "Y": 21}),
        behind_load=("INV", {"A": 21, "Y": 22}),
        constant=("TIE", {"Y": 30}),
    )
    assert visible(module, liberty) == {"gate", "first", "last", "exit", "load", "constant"}


def test_cache_key_of_a_reduced_netlist_includes_the_code(liberty, tmp_path, monkeypatch):
    monkeypatch.setenv("IMPLICORE_CACHE", str(tmp_path / "cache"))
    read = []
    monkeypatch.setattr(boundary.Netlist, "read", lambda path, name: read.append(path))
    monkeypatch.setattr(boundary, "visible", lambda module, liberty: set())
    netlist = tmp_path / "netlist.v"
    netlist.write_text("module top;\nendmodule\n")
    netlist.with_suffix(".json").write_text("{}")
    assert boundary.boundary(netlist, "top", liberty) == boundary.boundary(netlist, "top", liberty)
    assert len(read) == 1
    netlist.with_suffix(".json").write_text("{ }")
    boundary.boundary(netlist, "top", liberty)
    assert len(read) == 2
    monkeypatch.setattr(boundary, "source_digest", lambda *names: f"changed {names}")
    boundary.boundary(netlist, "top", liberty)
    assert len(read) == 3


def test_instance_names_are_parsed():
    text = "  INV \\kept[0]_ff  (\n    .A(a),\n    .Y(b)\n  );\n  INV _1_ (\n    .Y(c)\n  );\n"
    assert [found[1] for found in INSTANCE.finditer(text)] == ["kept[0]_ff", "_1_"]
