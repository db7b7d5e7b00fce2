"""The array: rows of processing elements and the way their sums drain."""

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
    """One row: activations march right, one sum at a time is drained through an AND-OR.

    A dot product whose last activation enters in cycle t is final in column c in cycle
    ``t + 3 + c`` and stands in ``sum`` a cycle later. Two dot products may follow each other at
    any distance of at least as many cycles as columns are read.

    Latency: 4 + c cycles from activation to sum. Throughput: a step a cycle.

    Parameters
    ----------
    columns : int
    formats : Formats
    gate_zeros : bool

    Attributes
    ----------
    activation : In
        Zero where there is no step.
    last : In(1)
        The activation is the last of a dot product. Held high before the first one, it clears
        whatever the accumulators hold.
    weights_in, weights_out : In, Out
        The weights of all columns: column c's is used c cycles after column 0's.
    bypass_sum : In
        A sum from outside the array, zero unless it takes the place of the columns' in this cycle.
    capture_enable : In(1)
        A sum is to stand in ``sum`` in the next cycle; else what stood there stays.
    sum : Out
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
        """Amaranth's hook."""
        m = Module()
        # `last` marches with the activations. What PE c needs beside its sum has by then reached
        # the place of PE c + 2: one chain serves operands and sums.
        delay = ProcessingElement.LATENCY - 1
        marching = Signal(self.columns + delay, reset_less=True)
        # Empty most of the time, the chain then needs no clock.
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

    Row r computes, one after the other, the dot products of its activations with the weights of
    every column. Activations of row r enter r cycles and weights of column c enter c cycles after
    those of row and column 0 (the skew is the caller's). Rows are ``ArrayRow``.

    Latency: 4 + c cycles from a row's last activation to the sum of column c.
    Throughput: rows x columns products a cycle.

    Parameters
    ----------
    rows, columns : int
        1 to 256.
    formats : Formats
    gate_zeros : bool

    Attributes
    ----------
    activations, last, bypass_sum, capture_enable : In
        One of each a row, as in ``ArrayRow``.
    weights : In
        One a column.
    sums : Out
        One a row.
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
        """Cycles from a row's last activation to the sum of its first column."""
        return ProcessingElement.LATENCY + 1

    def elaborate(self, platform):
        """Amaranth's hook."""
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
