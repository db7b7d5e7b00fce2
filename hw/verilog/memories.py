"""The memories of an accelerator: their Verilog modules, and their list in the sidecar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from implicore.accelerator_config import AcceleratorConfig

from ..core import banks
from ..memory import Bank, Ram, address_bits
from .naming import ram_name

MemoryKind = Literal["inferred", "blackbox"]


def memory_modules(rams: Mapping[str, Ram], kind: MemoryKind) -> str:
    """Return the Verilog of memories, given by module name."""
    return "\n".join(_module(name, ram, kind) for name, ram in rams.items())


def _module(name: str, ram: Ram, kind: MemoryKind) -> str:
    """Return one module: behaviour that synthesis infers block RAM from, or only its ports."""
    address = address_bits(ram.depth)
    ports = f"""    input clk,
    input write_enable,
    input [{address - 1}:0] write_address,
    input [{ram.width - 1}:0] write_data,
    input read_enable,
    input [{address - 1}:0] read_address,
    output {"reg " if kind == "inferred" else ""}[{ram.width - 1}:0] read_data
"""
    if kind == "blackbox":
        return f"(* blackbox *)\nmodule {name} (\n{ports});\nendmodule\n"
    return f"""module {name} (
{ports});
  reg [{ram.width - 1}:0] words [0:{ram.depth - 1}];
`ifndef SYNTHESIS
  initial read_data = 0; // an idle step multiplies it by 0, and X times 0 is X
`endif
  always @(posedge clk) begin
    if (write_enable) words[write_address] <= write_data;
    if (read_enable) read_data <= words[read_address];
  end
endmodule
"""


def memory_entry(module: str, bank: Bank | Ram, instances: int) -> dict:
    """Return the sidecar's entry for a memory."""
    return {
        "module": module,
        "role": bank.role,
        "depth": bank.depth,
        "width": bank.width,
        "instances": instances,
        "write_ports": 1,
        "read_ports": 1,
        # A memory that is never read and written in the same cycle can be a single-port macro.
        "reads_while_written": bank.role in ("features", "hidden", "voxels"),
    }


def memory_list(config: AcceleratorConfig) -> list[dict]:
    """Return the sidecar's list of memories without elaborating anything."""
    return [memory_entry(ram_name(bank), bank, instances) for bank, instances in banks(config)]
