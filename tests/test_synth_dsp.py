import copy

import pytest

from implicore.synth.dsp import pack_output_registers

PLAIN = {"CEMUX": "1 ", "CLKMUX": "CLK", "GSR": "DISABLED", "LSRMUX": "LSR", "REGSET": "RESET"}


def register(d, q, *, clock=1, **parameters):
    return {
        "type": "TRELLIS_FF",
        "parameters": PLAIN | parameters,
        "port_directions": {"CLK": "input", "DI": "input", "LSR": "input", "Q": "output"},
        "connections": {"CLK": [clock], "DI": [d], "LSR": ["0"], "Q": [q]},
    }


def netlist():
    """Return a product of two bits, one with a register, one with two, and an adder."""
    multiplier = {
        "type": "MULT18X18D",
        "parameters": {},
        "port_directions": {"A0": "input", "P0": "output", "P1": "output", "P2": "output"},
        "connections": {"A0": [2], "P0": [10], "P1": [11], "P2": [12]},
    }
    adder = {
        "type": "LUT4",
        "parameters": {},
        "port_directions": {"A": "input", "B": "input", "C": "input", "Z": "output"},
        "connections": {"A": [20], "B": [21], "C": [22], "Z": [30]},
    }
    return {
        "ports": {"sum": {"direction": "output", "bits": [30, 22]}},
        "cells": {
            "multiplier": multiplier,
            "product_0": register(10, 20),
            "product_1": register(11, 21),
            "product_1_again": register(11, 22),
            "adder": adder,
        },
    }


def test_product_register_is_packed():
    module = netlist()
    assert pack_output_registers(module) == 1
    assert set(module["cells"]) == {"multiplier", "adder"}
    multiplier = module["cells"]["multiplier"]
    assert multiplier["parameters"]["REG_OUTPUT_CLK"] == "CLK0"
    connections = multiplier["connections"]
    assert (connections["CLK0"], connections["CE0"], connections["RST0"]) == ([1], ["1"], ["0"])
    assert (connections["P0"], connections["P1"], connections["P2"]) == ([20], [21], [12])
    # The two registers of one bit are merged.
    assert module["cells"]["adder"]["connections"] == {"A": [20], "B": [21], "C": [21], "Z": [30]}
    assert module["ports"]["sum"]["bits"] == [30, 21]


@pytest.mark.parametrize(
    "change",
    [
        lambda cells, ports: cells.update(product_0=register(10, 20, CEMUX="CE")),
        lambda cells, ports: cells.update(product_0=register(10, 20, REGSET="SET")),
        lambda cells, ports: cells.update(product_0=register(10, 20, CLKMUX="INV")),
        lambda cells, ports: cells.update(product_0=register(10, 20, clock=5)),
        lambda cells, ports: cells["product_0"]["connections"].update(LSR=[7]),
        lambda cells, ports: cells["adder"]["connections"].update(A=[10]),
        lambda cells, ports: cells["product_0"]["connections"].update(DI=[9], LSR=[10]),
        lambda cells, ports: ports["sum"].update(bits=[30, 11]),
    ],
    ids=["enable", "set", "falling", "clock", "reset", "read by logic", "no data", "leaves"],
)
def test_other_registers_are_not_packed(change):
    module = netlist()
    change(module["cells"], module["ports"])
    before = copy.deepcopy(module)
    assert pack_output_registers(module) == 0
    assert module == before


def test_product_without_readers_is_not_packed():
    module = netlist()
    for name in ("product_0", "product_1", "product_1_again"):
        del module["cells"][name]
    assert pack_output_registers(module) == 0
