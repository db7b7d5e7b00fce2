"""Packing of product registers into the DSP blocks of an ECP5, which Yosys does not do."""

from __future__ import annotations

from collections import defaultdict

OUTPUTS = [f"P{bit}" for bit in range(36)]


def pack_output_registers(module: dict) -> int:
    """Move the registers of products into the MULT18X18D cells before them.

    The registers of a product are packed if the product has no other readers and they are
    flip-flops of one clock, without enable or reset, with an initial value of 0. The output
    register of the block is then equivalent, and closer.

    Parameters
    ----------
    module : dict
        A module of Yosys' JSON netlist, modified in place.

    Returns
    -------
    int
        Number of multipliers that were given a register.
    """
    cells = module["cells"]
    readers = defaultdict(list)  # bit to (cell, port); the cell is None for a port of the module
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
    """Return the clock of a plain flip-flop if the port is its data input, else None."""
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
