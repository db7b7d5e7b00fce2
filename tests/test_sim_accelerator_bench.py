import importlib

import cocotb
import pytest
from amaranth.lib.wiring import In

from implicore.accelerator_config import ACCELERATORS
from implicore.hw.accelerator import Accelerator


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.setattr(cocotb, "SIM_NAME", "Icarus Verilog", raising=False)
    return importlib.import_module("implicore.sim.accelerator_bench")


def test_bench_names_every_port(bench):
    """The bench stands alone, so it lists the ports that ``hw.axi`` defines once more."""
    members = Accelerator(ACCELERATORS["tiny"]).signature.members
    inputs = {name for name, member in members.items() if member.flow is In}
    payloads = {name for names in bench.PAYLOADS.values() for name in names}
    assert {*bench.PAYLOADS, *payloads, *bench.READY} == inputs
    assert set(bench.OUTPUTS) == set(members) - inputs
