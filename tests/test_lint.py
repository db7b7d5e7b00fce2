"""Four linters on the Verilog of three configurations, and on faults that each of them finds."""

import importlib
from pathlib import Path

import pytest

from implicore.accelerator_config import ACCELERATORS, AcceleratorConfig
from implicore.formats import Formats
from implicore.network_shape import NetworkShape
from implicore.sim import simulators

CONFIGS = {
    "tiny": ACCELERATORS["tiny"],
    "odd": AcceleratorConfig.sized(
        3, 2, Formats.parse("w4a5m2t12"), [NetworkShape(5, 7, 3, (2,), outputs=6)]
    ),
    "smallest": AcceleratorConfig(1, 1, Formats(8, 8), 1, 1, 1, 2, 1, gate_zeros=True),
}
LINTERS = ("Verilator", "Icarus", "slang", "Yosys")


@pytest.fixture(scope="module")
def lint():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[1] / "bench")
        yield importlib.import_module("lint")


def test_every_linter_is_tested(lint):
    assert tuple(lint.LINTERS) == LINTERS


@pytest.mark.parametrize("linter", LINTERS)
@pytest.mark.parametrize("name", CONFIGS)
def test_linter_reports_nothing(lint, name, linter):
    assert lint.LINTERS[linter](simulators.verilog(CONFIGS[name])) == ""


FAULTS = {
    "loop": ("wire a, b; assign a = ~b & rst; assign b = a;", {"Yosys"}),
    "latch": ("reg a; always @* if (rst) a = clk;", {"Verilator", "slang", "Yosys"}),
    "port": ("implicore_core extra (.clk(clk));", {"Verilator", "Icarus", "slang"}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_reported(lint, fault, tmp_path):
    """No linter finds all of them."""
    text, finders = FAULTS[fault]
    logic, memories = simulators.verilog(CONFIGS["smallest"])
    broken = tmp_path / logic.name
    broken.write_text(logic.read_text().replace("\nendmodule\n", f"\n{text}\nendmodule\n", 1))
    waivers = logic.with_suffix(".vlt")
    (tmp_path / waivers.name).write_text(waivers.read_text())
    reports = {name: report([broken, memories]) for name, report in lint.LINTERS.items()}
    assert {name for name, text in reports.items() if text} == finders, reports
