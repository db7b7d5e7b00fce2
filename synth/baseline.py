"""The bare multiply-accumulate: mapped and driven like a processing element, a lower bound."""

from __future__ import annotations

import numpy as np

from implicore.formats import Formats

from . import mapping
from .activity import replay
from .asic import PE
from .circuit import Circuit
from .liberty import read_liberty
from .mapping import RECIPES, Mapped
from .netlist import Netlist
from .power import Power, total
from .target import Target

NAME = "bare_multiply_accumulate"
SETTLED = 4
"""Cycles after which only the sum of the unit still depends on the state at power-up."""


def verilog(formats: Formats) -> str:
    """Return a signed by unsigned multiplier, a product register and an accumulator in Verilog."""
    weight, activation, accumulator = (
        formats.weight_bits,
        formats.activation_bits,
        formats.accumulator_bits,
    )
    return f"""module {NAME}(clk, weight, activation, done, sum);
  input clk;
  input [{weight - 1}:0] weight;
  input [{activation - 1}:0] activation;
  input done;
  output [{accumulator - 1}:0] sum;
  reg [{weight + activation - 1}:0] product;
  reg [{accumulator - 1}:0] sum;
  always @(posedge clk) begin
    product <= $signed(weight) * $signed({{1'b0, activation}});
    sum <= $signed(done ? {accumulator}'d0 : sum) + $signed(product);
  end
endmodule
"""


def map_bare(formats: Formats, target: Target, period_ns: float) -> Mapped:
    """Map the bare unit by the recipe that misses the clock least, then is smallest."""
    text = verilog(formats)
    found = mapping.map_all(
        RECIPES,
        lambda recipe: mapping.map_module(text, NAME, "", {}, recipe, target, driver=False),
    )
    return min(found, key=lambda unit: (max(0.0, unit.period_ns - period_ns), unit.area_um2))


def compare(design, operands: dict[str, np.ndarray], result: dict, clock_mhz: float) -> dict:
    """Compare the bare unit with the accelerator.

    Parameters
    ----------
    design : asic.Design
    operands : dict of str to ndarray of shape (cycles, pes)
        ``weight_in``, ``activation_in`` and ``done`` of processing elements during a decode.
    result : dict
        ``pj_per_mac`` and ``pe_pj`` of the accelerator, as in ``energy.measure``.
    clock_mhz : float
        Clock at which leakage is converted to energy a cycle.

    Returns
    -------
    dict
        The bare unit: ``recipe``, ``area_um2``, ``fmax_mhz``; ``pj``, its energy a cycle, of
        which ``clock_pj`` at clock edges; ``operands``; ``zero_activations``, the share of zeros.
        Ratios to the bare unit: ``pe_area`` and ``pe_energy`` of a processing element;
        ``logic_area`` of everything but the memories, per PE; ``accelerator_energy`` of the
        accelerator per useful multiply-accumulate, memories included.
    """
    config = design.config
    unit = map_bare(config.formats, design.target, design.period_ns)
    library = read_liberty(design.target.liberty)
    netlist = Netlist.read(unit.folder / "netlist.json", NAME).tied_off()
    cycles, pes = operands["done"].shape
    circuit = Circuit(NAME, {NAME: netlist}, library.cells, bit_lanes=pes)
    # A PE registers its operands but not `done`. The bare unit registers neither, so it gets the
    # operands one cycle later than `done`.
    _, activity = replay(
        circuit,
        {
            "weight": operands["weight_in"][:-1],
            "activation": operands["activation_in"][:-1],
            "done": operands["done"][1:],
        },
        first=SETTLED,
    )
    sums = total(Power(circuit, library).parts(activity))
    pj = (sums["pj"] + sums["leakage_mw"] / clock_mhz * 1000) / pes
    pe = design.modules[PE].area_um2
    return {
        "recipe": unit.recipe,
        "area_um2": unit.area_um2,
        "fmax_mhz": 1000 / unit.period_ns,
        "pj": pj,
        "clock_pj": sums["clock"] / pes,
        "operands": f"{pes} processing elements, {cycles} cycles",
        "zero_activations": float((operands["activation_in"] == 0).mean()),
        "pe_area": pe / unit.area_um2,
        "pe_energy": result["pe_pj"] / pj,
        "logic_area": design.logic_area_um2 / (config.rows * config.columns * unit.area_um2),
        "accelerator_energy": result["pj_per_mac"] / pj,
    }
