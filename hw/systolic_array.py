"""The systolic array: rows of processing elements and the drain path of each row."""

from functools import reduce
from operator import or_

from amaranth import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from implicore.accelerator_config import MAX_SIDE
from implicore.arguments import require_integer
from implicore.formats import Formats

from .pipeline import enabled_register
from .processing_element import ProcessingElement


class ArrayRow(wiring.Component):
    """One row: activations move right, accumulators drain through an AND-OR, one per cycle.

    A dot product whose last activation enters in cycle t is complete in column c in cycle
    ``t + 3 + c`` and is in ``sum`` one cycle later. Two dot products must be at least as many
    cycles apart as columns are drained.

    Latency: 4 + c cycles from the last activation to ``sum``. Throughput: one step per cycle.

    Parameters
    ----------
    columns : int
    formats : Formats
    gate_zeros : bool
        As in ``ProcessingElement``.

    Attributes
    ----------
    activation : In(unsigned(activation_bits))
        The activation, zero in a cycle without a step.
    last : In(1)
        The activation is the last one of a dot product. If held high before the first step,
        ``last`` clears the accumulators.
    weights_in, weights_out : In, Out, array of columns x signed(weight_bits)
        The weights of all columns, from the row above and to the row below. The weight of column
        c is used c cycles after that of column 0.
    bypass_sum : In(signed(accumulator_bits))
        An accumulator from outside the array. It must be zero unless it is captured in this cycle
        in place of a column's.
    capture_enable : In(1)
        ``sum`` takes a new value in the next cycle; otherwise it keeps its value.
    sum : Out(signed(accumulator_bits))
        The drained accumulator.
    """

    def __init__(self, columns: int, formats: Formats, *, gate_zeros: bool = False):
        self.columns = columns
        self.formats = formats
        self.gate_zeros = gate_zeros
        weights = data.ArrayLayout(signed(formats.weight_bits), columns)
        super().__init__(
            {
                "activation": In(unsigned(formats.activation_bits)),
                "last": In(1),
                "weights_in": In(weights),
                "weights_out": Out(weights),
                "bypass_sum": In(signed(formats.accumulator_bits)),
                "capture_enable": In(1),
                "sum": Out(signed(formats.accumulator_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # `last` moves with the activations. PE c needs it when its accumulator is complete, when
        # `last` has reached the stage of PE c + 2: one shift register serves all columns.
        delay = ProcessingElement.LATENCY - 1
        marching = Signal(self.columns + delay, reset_less=True)
        # The shift register is empty most of the time; an enable allows clock gating.
        with m.If(self.last | marching.any()):
            m.d.sync += marching.eq(marching << 1 | self.last)
        activation = self.activation
        drained = [self.bypass_sum]
        for column in range(self.columns):
            pe = ProcessingElement(self.formats, gate_zeros=self.gate_zeros)
            m.submodules[f"pe_{column}"] = pe
            done = marching[column + delay]
            m.d.comb += [
                pe.weight_in.eq(self.weights_in[column]),
                pe.activation_in.eq(activation),
                pe.done.eq(done),
                self.weights_out[column].eq(pe.weight_out),
            ]
            activation = pe.activation_out
            drains = done & ~pe.empty if self.gate_zeros else done
            drained.append(Mux(drains, pe.sum, 0))
        total = Signal.like(self.sum)
        m.d.comb += [
            total.eq(reduce(or_, drained)),
            self.sum.eq(enabled_register(m, total, self.capture_enable, name="total")),
        ]
        return m


class SystolicArray(wiring.Component):
    """Rows x columns of processing elements, output stationary.

    Row r computes the dot products of its activations with the weights of every column. The
    caller skews the operands: the activations of row r enter r cycles after those of row 0, the
    weights of column c enter c cycles after those of column 0. Every row is an ``ArrayRow``.

    Latency: 4 + c cycles from the last activation of a row to the accumulator of column c.
    Throughput: rows x columns products per cycle.

    Parameters
    ----------
    rows, columns : int
        1 to 256.
    formats : Formats
    gate_zeros : bool
        As in ``ProcessingElement``.

    Attributes
    ----------
    activations, last, bypass_sum, capture_enable : In, array of rows
        The input of ``ArrayRow`` for each row.
    weights : In, array of columns x signed(weight_bits)
        The weights that enter row 0.
    sums : Out, array of rows x signed(accumulator_bits)
        ``ArrayRow.sum`` of each row.
    """

    def __init__(self, rows: int, columns: int, formats: Formats, *, gate_zeros: bool = False):
        require_integer("Array", "rows", rows, 1, MAX_SIDE)
        require_integer("Array", "columns", columns, 1, MAX_SIDE)
        self.rows = rows
        self.columns = columns
        self.formats = formats
        self.gate_zeros = gate_zeros
        sums = data.ArrayLayout(signed(formats.accumulator_bits), rows)
        super().__init__(
            {
                "activations": In(data.ArrayLayout(unsigned(formats.activation_bits), rows)),
                "last": In(rows),
                "bypass_sum": In(sums),
                "capture_enable": In(rows),
                "weights": In(data.ArrayLayout(signed(formats.weight_bits), columns)),
                "sums": Out(sums),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from the last activation of a row to the accumulator of its first column."""
        return ProcessingElement.LATENCY + 1

    def elaborate(self, platform):
        m = Module()
        weights = self.weights
        for number in range(self.rows):
            row = ArrayRow(self.columns, self.formats, gate_zeros=self.gate_zeros)
            m.submodules[f"row_{number}"] = row
            m.d.comb += [
                row.activation.eq(self.activations[number]),
                row.last.eq(self.last[number]),
                row.bypass_sum.eq(self.bypass_sum[number]),
                row.capture_enable.eq(self.capture_enable[number]),
                row.weights_in.eq(weights),
                self.sums[number].eq(row.sum),
            ]
            weights = row.weights_out
        return m
