"""Registers into multipliers: what an ECP5's DSP blocks can hold and Yosys leaves outside."""

from __future__ import annotations

from collections import defaultdict

OUTPUTS = [f"P{bit}" for bit in range(36)]


def pack_output_registers(module: dict) -> int:
    """Move product registers into the MULT18X18D cells that they follow.

    A product is packed if flip-flops of one clock, without enable or reset and beginning as 0, are
    all that reads it: the block's own output register is then the same, and nearer.

    Parameters
    ----------
    module : dict
        Of a netlist as Yosys writes it in JSON; changed in place.

    Returns
    -------
    int
        Multipliers that were given a register.
    """
    cells = module["cells"]
    readers = defaultdict(list)  # bit to (cell, port); None as the cell for a port of the module
    for name, cell in cells.items():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "input":
                for bit in bits:
                    readers[bit].append((name, port))
    for port in module["ports"].values():
        for bit in port["bits"]:
            readers[bit].append((None, None))

    packed, same = 0, {}
    for multiplier in [cell for cell in cells.values() if cell["type"] == "MULT18X18D"]:
        connections = multiplier["connections"]
        products = {
            port: readers[connections[port][0]]
            for port in OUTPUTS
            if connections.get(port) and readers[connections[port][0]]
        }
        clocks = {_clock(cells, *reader) for found in products.values() for reader in found}
        if len(clocks) != 1 or None in clocks:
            continue
        for port, found in products.items():
            first, *others = (cells.pop(name)["connections"]["Q"][0] for name, _ in found)
            connections[port] = [first]
            same.update(dict.fromkeys(others, first))
        multiplier["parameters"] |= {
            "REG_OUTPUT_CLK": "CLK0",
            "REG_OUTPUT_CE": "CE0",
            "REG_OUTPUT_RST": "RST0",
        }
        for port, bit in (("CLK0", clocks.pop()), ("CE0", "1"), ("RST0", "0")):
            connections[port] = [bit]
            multiplier["port_directions"][port] = "input"
        packed += 1
    for cell in cells.values():
        for port, bits in cell["connections"].items():
            cell["connections"][port] = [same.get(bit, bit) for bit in bits]
    for port in module["ports"].values():
        port["bits"] = [same.get(bit, bit) for bit in port["bits"]]
    return packed


def _clock(cells: dict, name: str | None, port: str | None):
    """The clock of a plain flip-flop, to whose data input that port belongs; None otherwise."""
    cell = cells[name] if name is not None else {"type": ""}
    if cell["type"] != "TRELLIS_FF" or port != "DI":
        return None
    parameters = cell["parameters"]
    plain = (
        parameters["CEMUX"].strip() == "1"
        and parameters["CLKMUX"] == "CLK"
        and parameters["REGSET"] == "RESET"
        and cell["connections"]["LSR"] == ["0"]
    )
    return cell["connections"]["CLK"][0] if plain else None
