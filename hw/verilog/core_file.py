"""The FuseSoC core description."""

from __future__ import annotations

from implicore import __version__
from implicore.accelerator_config import AcceleratorConfig

from .naming import PREFIX


def core_file(config: AcceleratorConfig) -> str:
    """Return the ``.core`` file of an accelerator: its files, and a target ``lint``."""
    return f"""CAPI=2:
name: ::{PREFIX}:{__version__}
description: Decoder of implicit neural representations, {config.rows} x {config.columns}

filesets:
  rtl:
    files:
      - {PREFIX}.v
      - {PREFIX}_memories.v
    file_type: verilogSource
  lint:
    files:
      - {PREFIX}.vlt
    file_type: vlt
  software:
    files:
      - {PREFIX}.h: {{is_include_file: true}}
    file_type: cSource

targets:
  default:
    description: The accelerator, for use by other cores
    filesets: [rtl, software]
    toplevel: {PREFIX}
  lint:
    description: Verilator's lint, every warning an error
    flow: lint
    flow_options:
      tool: verilator
      verilator_options: [-Wall]
    filesets: [lint, rtl]
    toplevel: {PREFIX}
"""
