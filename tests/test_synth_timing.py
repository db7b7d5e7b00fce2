import pytest

from implicore.errors import BadInput
from implicore.synth import target, timing

VERILOG = """
module top (clk, a, y);
  input clk, a;
  output y;
  wire q, n, p;
  DFFPOSX1 first (.CLK(clk), .D(a), .Q(q));
  INVX1 one (.A(q), .Y(n));
  INVX1 two (.A(n), .Y(p));
  DFFPOSX1 last (.CLK(clk), .D(p), .Q(y));
endmodule
"""


@pytest.fixture
def netlist(tmp_path):
    (tmp_path / "stubs.v").write_text("")
    (tmp_path / "netlist.v").write_text(VERILOG)
    return tmp_path / "netlist.v"


def test_periods_are_in_ns_in_every_library(netlist, tmp_path):
    cells = target.find("osu018").liberty
    text = cells.read_text()
    slow = tmp_path / "slow.lib"
    assert text.count('time_unit : "1ns"') == 1
    slow.write_text(text.replace('time_unit : "1ns"', 'time_unit : "10ns"'))
    period = timing.least_period("top", netlist, [cells], tmp_path)
    assert 0.2 < period < 0.6
    assert timing.least_period("top", netlist, [slow], tmp_path) == pytest.approx(
        10 * period, abs=0.05
    )


def test_longest_path_equals_the_least_period(netlist, tmp_path):
    cells = target.find("osu018").liberty
    period = timing.least_period("top", netlist, [cells], tmp_path)
    first, *rest = timing.longest_paths("top", [netlist], [cells])
    assert first.delay_ns == pytest.approx(period, abs=0.006)  # of two digits
    assert (first.start, first.end) == ("first", "last")
    assert all(path.delay_ns <= first.delay_ns for path in rest)
    (inside,) = timing.longest_paths("top", [netlist], [cells], inside=True)
    assert (inside.start, inside.end) == ("first", "last")


def test_paths_are_cached_by_the_content_of_the_netlist(netlist, tmp_path, monkeypatch):
    monkeypatch.setenv("IMPLICORE_CACHE", str(tmp_path / "cache"))
    cells = target.find("osu018").liberty
    found = timing.longest_paths("top", [netlist], [cells])
    other = tmp_path / "there" / "netlist.v"
    other.parent.mkdir()
    other.write_text(VERILOG)
    monkeypatch.setattr(timing, "_sta", None)  # nothing to run
    assert timing.longest_paths("top", [other], [cells]) == found
    other.write_text(VERILOG.replace("INVX1 one", "INVX8 one"))
    with pytest.raises(TypeError):
        timing.longest_paths("top", [other], [cells])


def test_missing_tool_is_reported(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BadInput, match=r"^Timing needs OpenSTA: apt-get install opensta\.$"):
        timing.find_sta()
