"""The logic of a cell: gate, flip-flop or clock gate."""

from __future__ import annotations

from dataclasses import dataclass, field

from implicore.process import ToolFailed

from .cells import Cell
from .conditions import Function, parse


@dataclass(frozen=True)
class Logic:
    """The logic of a cell.

    Attributes
    ----------
    outputs : dict
        Output pin to its function; for a flip-flop, to whether it is the inverted state.
    clock : str, optional
        Clock pin of a flip-flop or a clock gate.
    next_state : Function, optional
        Next state of a flip-flop.
    idle : dict
        Asynchronous and test pins to the level at which they have no effect.
    enable : str, optional
        Enable pin of a clock gate: the output follows the clock after an edge before which the
        enable was high.
    """

    outputs: dict[str, Function | bool]
    clock: str | None = None
    next_state: Function | None = None
    idle: dict[str, bool] = field(default_factory=dict)
    enable: str | None = None


def logic_of(cell: Cell) -> Logic:
    """Return the logic of a cell; ToolFailed for a kind of cell that cannot be simulated."""
    if cell.group.text("clock_gating_integrated_cell").startswith("latch_posedge"):
        return _clock_gate(cell)
    functions = {
        name: pin.text("function")
        for name, pin in cell.pins.items()
        if pin.text("direction") == "output" and pin.text("function")
    }
    flops = cell.group.all("ff")
    if not flops:
        if cell.group.all("latch") or not functions:
            raise ToolFailed(f"The cell {cell.name} is neither a gate nor a flip-flop.")
        return Logic({name: parse(function) for name, function in functions.items()})
    flop = flops[0]
    clock = parse(flop.text("clocked_on")).tree
    if clock[0] != "pin":
        raise ToolFailed(f"The flip-flop {cell.name} is not clocked by a rising edge.")
    idle = {}
    for name in ("clear", "preset"):
        if flop.text(name):
            match parse(flop.text(name)).tree:
                case "not", ("pin", pin):
                    idle[pin] = True
                case "pin", pin:
                    idle[pin] = False
    return Logic(
        {name: function != flop.name for name, function in functions.items()},
        clock[1],
        parse(flop.text("next_state")),
        idle,
    )


def _clock_gate(cell: Cell) -> Logic:
    def marked(mark):
        return [name for name, pin in cell.pins.items() if pin.text(mark) == "true"]

    (output,) = marked("clock_gate_out_pin")
    clock = (marked("clock_gate_clock_pin") or marked("clock"))[0]
    tests = marked("clock_gate_test_pin")
    (enable,) = set(cell.inputs) - {clock, *tests}
    return Logic({output: False}, clock, idle=dict.fromkeys(tests, False), enable=enable)
