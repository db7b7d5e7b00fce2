"""The accelerator's memories, tiled from SRAM macros in depth and in width."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from .macros import Macro, macros_of, modelled
from .target import Target

TILE_MUX_NS = 0.3
"""Allowance for the multiplexer behind tiles in depth."""

ACCESS_MARGIN = 1.08
"""Access time relative to the fastest tiling that is acceptable if no tiling meets the clock."""

MIN_TILE_DEPTH = 256
"""Minimum depth of a modelled macro that is tiled in depth."""

MIN_TILE_WIDTH = 8
"""Minimum width of a modelled macro that is tiled in width; narrow macros are faster."""


@dataclass(frozen=True)
class Memory:
    """A memory module of the Verilog, made of macros.

    Attributes
    ----------
    module, role : str
    depth, width, ports : int
        Of the memory, as the accelerator sees it.
    macro : Macro
        Of every tile, except those with the highest bits if there is a ``narrow`` macro.
    deep, wide : int
        Number of tiles in depth and in width.
    narrow : Macro, optional
        Macro of the tiles with the highest bits, as deep as ``macro``.
    """

    module: str
    role: str
    depth: int
    width: int
    ports: int
    macro: Macro
    deep: int
    wide: int
    narrow: Macro | None = None

    @property
    def tiles(self) -> list[Macro]:
        """The macros of the tiles at one address, from the lowest bits."""
        return [self.macro] * (self.wide - 1) + [self.narrow or self.macro]

    @property
    def macros(self) -> dict[str, Macro]:
        """The macros by name."""
        return {macro.name: macro for macro in self.tiles}

    @property
    def tiling(self) -> str:
        """The number of tiles and the names of the macros."""
        text = f"{self.deep} x {self.wide} {self.macro.name}"
        if self.narrow:
            text = f"{self.deep} x ({self.wide - 1} {self.macro.name} + {self.narrow.name})"
        return text

    @property
    def area_um2(self) -> float:
        """Area of its macros."""
        return self.deep * sum(macro.area_um2 for macro in self.tiles)

    @property
    def access_ns(self) -> float:
        """The longest access of its macros."""
        return max(macro.access_ns for macro in self.macros.values())

    def energy_pj(self, *, write: bool) -> float:
        """Return the energy of an access in pJ: only tiles that hold the address are enabled."""
        return sum(macro.energy_pj(write=write) for macro in self.tiles)

    @property
    def leakage_mw(self) -> float:
        """Leakage of its macros."""
        return self.deep * sum(macro.leakage_mw for macro in self.tiles)

    @property
    def verilog(self) -> str:
        """A module that replaces the memory module of the same name."""
        return _verilog(self)


def choose(entry: dict, target: Target, period_ns: float) -> Memory:
    """Choose the macros of a memory.

    Take the tiling with the smallest product of area and read energy among those that are fast
    enough for the clock, or, if there are none, among those nearly as fast as the fastest. A word
    that is wider than all macros of a kit may have a narrower macro for its highest bits: words
    with check bits are slightly wider than a power of two.

    Parameters
    ----------
    entry : dict
        An entry of the list of memories in the sidecar.
    target : Target
    period_ns : float
        Of the clock.
    """
    depth, width = entry["depth"], entry["width"]
    ports = 2 if entry["reads_while_written"] else 1
    if target.macros:
        macros = macros_of(target)
    else:
        depths = {min(depth, MIN_TILE_DEPTH << doubling) for doubling in range(depth.bit_length())}
        parts = range(1, 1 + max(1, width // MIN_TILE_WIDTH))
        widths = {-(-width // count) for count in parts}
        macros = [
            modelled(*size, ports, target) for size in product(sorted(depths), sorted(widths))
        ]
    macros = [macro for macro in macros if macro.ports == ports]
    pairs: list[tuple[Macro, Macro | None]] = [(macro, None) for macro in macros]
    if target.macros and width > max(macro.width for macro in macros):
        pairs += [
            (macro, narrow)
            for macro, narrow in product(macros, macros)
            if narrow.depth == macro.depth and narrow.width < macro.width
        ]
    tilings = [
        Memory(
            *(entry["module"], entry["role"], depth, width, ports, macro),
            deep=-(-depth // macro.depth),
            wide=-(-(width - narrow.width) // macro.width) + 1
            if narrow
            else -(-width // macro.width),
            narrow=narrow,
        )
        for macro, narrow in pairs
    ]

    def read_ns(memory: Memory) -> float:
        return memory.access_ns + (TILE_MUX_NS if memory.deep > 1 else 0.0)

    in_time = max(0.9 * period_ns, ACCESS_MARGIN * min(map(read_ns, tilings)))

    def cost(memory: Memory) -> float:
        return memory.area_um2 * memory.energy_pj(write=False)

    return min((memory for memory in tilings if read_ns(memory) <= in_time), key=cost)


def _verilog(memory: Memory) -> str:
    width = sum(macro.width for macro in memory.tiles)
    address = max(1, (memory.depth - 1).bit_length())
    inside = max(1, (memory.macro.depth - 1).bit_length())
    select = max(0, address - inside)
    text = f"""module {memory.module} (
    input clk,
    input write_enable,
    input [{address - 1}:0] write_address,
    input [{memory.width - 1}:0] write_data,
    input read_enable,
    input [{address - 1}:0] read_address,
    output [{memory.width - 1}:0] read_data
);
  wire [{inside - 1}:0] inside_write = write_address;
  wire [{inside - 1}:0] inside_read = read_address;
  wire [{width - 1}:0] word = write_data;
"""
    reading = []
    for tile in range(memory.deep):
        here = f" && {{}}[{address - 1}:{inside}] == {tile}" if select else ""
        text += f"""  wire write_{tile} = write_enable{here.format("write_address")};
  wire read_{tile} = read_enable{here.format("read_address")};
  wire [{width - 1}:0] data_{tile};
"""
        low = 0
        for part, macro in enumerate(memory.tiles):
            text += _instance(macro, tile, part, f"[{low + macro.width - 1}:{low}]")
            low += macro.width
        reading.append(f"data_{tile}[{memory.width - 1}:0]")
    if memory.deep == 1:
        text += f"  assign read_data = {reading[0]};\n"
    else:
        text += f"""  reg [{select - 1}:0] tile;
  always @(posedge clk) if (read_enable) tile <= read_address[{address - 1}:{inside}];
  assign read_data =
"""
        text += " |\n".join(
            f"    ({{{memory.width}{{tile == {tile}}}}} & {data})"
            for tile, data in enumerate(reading)
        )
        text += ";\n"
    return text + "endmodule\n"


def _instance(macro: Macro, tile: int, part: int, bits: str) -> str:
    """Return an instance of a macro; of two ports, the first one writes and the last one reads."""
    pins = macro.pins
    connected = {name: "0" for name in macro.cell.inputs}
    for number, prefix in enumerate(macro.prefixes):
        writes, reads = number == 0, number == macro.ports - 1
        enables = [f"{way}_{tile}" for way, has in (("write", writes), ("read", reads)) if has]
        if writes and reads:
            address = f"write_{tile} ? inside_write : inside_read"
        else:
            address = "inside_write" if writes else "inside_read"
        connected |= {
            prefix + pins["clock"]: "clk",
            prefix + pins["enable"]: " | ".join(enables),
            prefix + pins["write"]: f"write_{tile}" if writes else "1'b0",
            prefix + pins["read"]: f"read_{tile}" if reads else "1'b0",
            prefix + pins["address"]: address,
        }
        if writes:
            connected[prefix + pins["data_in"]] = f"word{bits}"
            if prefix + pins.get("mask", "") in connected:
                connected[prefix + pins["mask"]] = f"{{{macro.width}{{1'b1}}}}"
        if reads:
            connected[prefix + pins["data_out"]] = f"data_{tile}{bits}"
        connected |= {prefix + pin: "1'b1" for pin in pins.get("high", ())}
    lines = ",\n".join(f"    .{pin}({value})" for pin, value in connected.items())
    return f"  {macro.name} sram_{tile}_{part} (\n{lines}\n  );\n"


def stub(macro: Macro) -> str:
    """Return the Verilog declaration of a macro, with ports only."""
    address = max(1, (macro.depth - 1).bit_length())
    lines = []
    for name, pin in macro.cell.pins.items():
        bits = 1
        if pin.kind == "bus":
            bits = address if macro.pins["address"] in name else macro.width
        way = "output" if name.endswith(macro.pins["data_out"]) else "input"
        lines.append(f"  {way} [{bits - 1}:0] {name}")
    return f"(* blackbox *)\nmodule {macro.name} (\n" + ",\n".join(lines) + "\n);\nendmodule\n"
