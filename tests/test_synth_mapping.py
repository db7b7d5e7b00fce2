import pytest

from implicore.process import ToolFailed
from implicore.synth import mapping, target

VERILOG = """
module top (clk, a, y);
  input clk;
  input [3:0] a;
  output [3:0] y;
  wire [3:0] between;
  middle first (
    .clk(clk), .a(a), .y(between)
  );
  middle \\second  (
    .clk(clk), .a(between), .y(y)
  );
endmodule

module middle (clk, a, y);
  input clk;
  input [3:0] a;
  output [3:0] y;
  reg [3:0] kept;
  wire [3:0] next;
  plain inside (
    .a(a), .y(next)
  );
  always @(posedge clk) kept <= next;
  assign y = kept;
endmodule

module plain (a, y);
  input [3:0] a;
  output [3:0] y;
  assign y = a + 4'd3;
endmodule
"""


def test_unclocked_modules_are_merged_into_their_parent():
    found = {
        module.name: (text, children, stubs)
        for module, text, children, stubs in mapping.merged(mapping.split(VERILOG))
    }
    assert list(found) == ["top", "middle"]
    _, children, stubs = found["top"]
    assert children == {"first": "middle", "second": "middle"}
    stub = "(* blackbox *) module middle ( input clk, input [3:0] a, output [3:0] y ); endmodule"
    assert " ".join(stubs.split()) == stub
    text, children, _ = found["middle"]
    assert "module plain" in text and children == {}


@pytest.fixture(scope="module")
def osu():
    return target.find("osu018")


def mapped(osu, recipe):
    jobs = {
        module.name: (text, module.name, stubs, children)
        for module, text, children, stubs in mapping.merged(mapping.split(VERILOG))
    }
    return {name: mapping.map_module(*job, recipe, osu) for name, job in jobs.items()}


@pytest.mark.parametrize("recipe", mapping.RECIPES, ids=lambda recipe: recipe.name)
def test_cells_area_and_period(osu, recipe):
    found = mapped(osu, recipe)
    top, middle = found["top"], found["middle"]
    assert top.area_um2 == 0 and top.cells == {} and top.period_ns == 0
    assert middle.cells["DFFPOSX1"] == 4 and middle.children == {}
    assert sum(middle.cells.values()) > 4  # the adder of the module without a clock
    assert 4 * 96 < middle.area_um2 < 2000  # a flip-flop of this library has 96 um2
    assert 0.2 < middle.period_ns < 3
    netlist = (middle.folder / "netlist.v").read_text()
    assert r"\kept[0]_ff" in netlist or r"\y[0]_ff" in netlist  # registers keep their names


def test_unmappable_module_is_an_error(osu):
    with pytest.raises(ToolFailed, match=r"(?s)^yosys failed \(1\): .*syntax error"):
        mapping.map_module("module x (", "x", "", {}, mapping.RECIPES[0], osu)
