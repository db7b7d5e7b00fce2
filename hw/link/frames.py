"""Frames: conversion between bytes on the line and kind and payload with a checked CRC."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.crc import catalog
from amaranth.lib.wiring import In, Out

from implicore.link import END, ESCAPE, ESCAPED_END, ESCAPED_ESCAPE

from ..uart import RECEIVED

CONTENT = data.StructLayout({"data": 8, "last": 1})
"""A byte of a frame's kind or payload; ``last`` ends the frame."""

DECODED_FRAME = wiring.Signature({"valid": Out(1), "data": Out(8), "good": Out(1), "bad": Out(1)})
"""A frame without flow control.

``data`` is a byte of kind or payload while ``valid`` is high. At the end of the frame, either
``good`` or ``bad`` is high for one cycle. An empty frame gives neither.
"""

CRC = catalog.CRC16_IBM_3740(8)


class FrameDecoder(wiring.Component):
    """Find frames in a stream of bytes, remove the escapes, and check the CRC.

    A frame is bad if its CRC does not match, it is shorter than a kind and a CRC, an escape is
    wrong, or a byte had a framing error.

    Latency: a byte of the payload is output one cycle after the second byte after it arrives; the
    status follows the END byte by two cycles. Throughput: one byte per two cycles.

    Attributes
    ----------
    valid : In(1)
    byte : In(RECEIVED)
    frame : Out(DECODED_FRAME)
    """

    def __init__(self):
        super().__init__({"valid": In(1), "byte": In(RECEIVED), "frame": Out(DECODED_FRAME)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = crc = CRC.create()
        escaped = Signal()
        error = Signal()
        # The last two bytes are the CRC, and only the END shows which bytes are the last ones.
        delayed = Signal(data.ArrayLayout(8, 2), reset_less=True)
        count = Signal(range(4))  # bytes of the frame; 3 stands for more
        unescaped = Signal()
        byte = Signal(8)
        ended = Signal()
        good = Signal()
        m.d.comb += [
            crc.data.eq(byte),
            crc.valid.eq(unescaped),
            good.eq(~error & (count == 3) & crc.match_detected),
        ]
        m.d.sync += [
            ended.eq(self.valid & ~self.byte.framing_error & (self.byte.data == END)),
            self.frame.valid.eq(unescaped & count[1]),
            self.frame.data.eq(delayed[1]),
            self.frame.good.eq(ended & good),
            self.frame.bad.eq(ended & ~good & (error | (count != 0))),
        ]
        with m.If(ended):
            m.d.comb += crc.start.eq(1)
            m.d.sync += [escaped.eq(0), error.eq(0), count.eq(0)]
        with m.If(self.valid):
            with m.If(self.byte.framing_error):
                m.d.sync += error.eq(1)
            with m.Elif(self.byte.data == END), m.If(escaped):
                m.d.sync += error.eq(1)
            with m.Elif(escaped):
                m.d.sync += escaped.eq(0)
                m.d.comb += [unescaped.eq(1), byte.eq(END)]
                with m.If(self.byte.data == ESCAPED_ESCAPE):
                    m.d.comb += byte.eq(ESCAPE)
                with m.Elif(self.byte.data != ESCAPED_END):
                    m.d.sync += error.eq(1)
            with m.Elif(self.byte.data == ESCAPE):
                m.d.sync += escaped.eq(1)
            with m.Else():
                m.d.comb += [unescaped.eq(1), byte.eq(self.byte.data)]
        with m.If(unescaped):
            m.d.sync += [delayed[0].eq(byte), delayed[1].eq(delayed[0])]
            with m.If(count != 3):
                m.d.sync += count.eq(count + 1)
        return m


class FrameEncoder(wiring.Component):
    """Make frames: an END, the content and its CRC with escapes, another END.

    Throughput: one byte per cycle.

    Attributes
    ----------
    content : In(stream of CONTENT)
    bytes : Out(stream of 8 bits)
    """

    def __init__(self):
        super().__init__(
            {"content": In(stream.Signature(CONTENT)), "bytes": Out(stream.Signature(8))}
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = crc = CRC.create()
        content, out = self.content, self.bytes
        byte = Signal(8)  # before escaping
        special = Signal()
        escape_sent = Signal()
        byte_sent = Signal()
        m.d.comb += [
            special.eq((byte == END) | (byte == ESCAPE)),
            out.payload.eq(byte),
            byte_sent.eq(out.valid & out.ready & (~special | escape_sent)),
            crc.data.eq(byte),
        ]
        with m.If(special):
            code = Mux(byte == END, ESCAPED_END, ESCAPED_ESCAPE)
            m.d.comb += out.payload.eq(Mux(escape_sent, code, ESCAPE))
            with m.If(out.valid & out.ready):
                m.d.sync += escape_sent.eq(~escape_sent)
        with m.FSM():
            for state, following in (("BEGIN", "CONTENT"), ("END", "BEGIN")):
                with m.State(state):
                    m.d.comb += [
                        crc.start.eq(1),
                        out.valid.eq(content.valid if state == "BEGIN" else 1),
                        out.payload.eq(END),
                    ]
                    with m.If(out.valid & out.ready):
                        m.next = following
            with m.State("CONTENT"):
                m.d.comb += [
                    byte.eq(content.payload.data),
                    out.valid.eq(content.valid),
                    content.ready.eq(byte_sent),
                    crc.valid.eq(byte_sent),
                ]
                with m.If(byte_sent & content.payload.last):
                    m.next = "CRC_HIGH"
            for state, part, following in (("CRC_HIGH", 1, "CRC_LOW"), ("CRC_LOW", 0, "END")):
                with m.State(state):
                    m.d.comb += [byte.eq(crc.crc.word_select(part, 8)), out.valid.eq(1)]
                    with m.If(byte_sent):
                        m.next = following
        return m
