import pytest

from implicore.accelerator_config import AcceleratorConfig
from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.network_shape import NETWORKS
from implicore.synth.explore.fpga_resources import block_rams, fits, resources


def sized(rows, columns, network="demo"):
    return AcceleratorConfig.sized(rows, columns, Formats.parse("w8a12"), [NETWORKS[network]])


def test_resources_of_an_fpga():
    """As Yosys counts them, see docs/fpga.md."""
    found = resources(sized(8, 8))
    assert (found["dsps"], found["brams"]) == (74, 54)
    assert found["fits"] and fits(sized(8, 8), "ecp5-85f")
    assert resources(sized(16, 8))["dsps"] == 146


def test_designs_too_large_for_the_fpga():
    assert not fits(sized(16, 16), "ecp5-85f")  # multipliers
    assert not fits(sized(4, 4, "paper"), "ecp5-85f")  # memories
    with pytest.raises(BadInput, match=r"^There is no device ice40: choose from ecp5-85f\.$"):
        fits(sized(4, 4), "ice40")


def test_block_ram_count_uses_the_best_shape():
    assert block_rams({"depth": 512, "width": 36}) == 1
    assert block_rams({"depth": 513, "width": 36}) == 2
    assert block_rams({"depth": 7680, "width": 8}) == 4
    assert block_rams({"depth": 7680, "width": 64}) == 32  # 30 would need 15 to choose from
    assert block_rams({"depth": 3, "width": 1}) == 1
