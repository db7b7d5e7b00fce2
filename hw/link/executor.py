"""Execution of the host's requests on the accelerator's ports."""

from amaranth import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from implicore.link import ITEM_BYTES, QUEUED, RESPONSE, Kind
from implicore.registers import Response

from ..accelerator import CONTROL_PORTS, POINT_PORTS, PROGRAM_PORTS
from ..axi import peer
from .frames import CONTENT
from .request_queue import TOKEN

EXECUTOR_PORTS = peer({**CONTROL_PORTS, **PROGRAM_PORTS, **POINT_PORTS})


class Executor(wiring.Component):
    """Execute one request at a time and send its response.

    There is one AXI transfer at a time; the next one starts after its response. If the accelerator
    answers register accesses of a request with an error, the response to the request has one more
    byte, the address of the last one.

    Attributes
    ----------
    tokens : In(stream of TOKEN)
        Requests of the kinds ``QUEUED`` whose sizes have been checked.
    content : Out(stream of CONTENT)
        Responses.
    m_axi_* : AXI4-Lite manager, 32 bits
    m_axis_program_* : AXI4-Stream, 32 bits
    m_axis_points_* : AXI4-Stream, 64 bits
    """

    def __init__(self):
        super().__init__(
            {
                "tokens": In(stream.Signature(TOKEN)),
                "content": Out(stream.Signature(CONTENT)),
                **EXECUTOR_PORTS,
            }
        )

    def elaborate(self, platform):
        m = Module()
        tokens, content = self.tokens, self.content
        kind = Signal(Kind)
        item = Signal(8 * max(ITEM_BYTES.values()), reset_less=True)  # shifted in at the top
        bytes_left = Signal(range(max(ITEM_BYTES.values()) + 1))
        item_bytes = Signal.like(bytes_left)
        # While an item is executed, the next token is at the queue's output.
        is_last = tokens.payload.end
        value = Signal(32, reset_less=True)
        refused = Signal()  # an access of this request was answered with an error
        refused_address = Signal(8, reset_less=True)
        with m.Switch(kind):
            for queued_kind in QUEUED:
                with m.Case(queued_kind):
                    m.d.comb += item_bytes.eq(ITEM_BYTES[queued_kind])

        def field(item_kind: Kind, first: int, count: int):
            """Return ``count`` bytes, from ``first``, of an item of this kind."""
            start = len(item) - 8 * ITEM_BYTES[item_kind] + 8 * first
            return item[start : start + 8 * count]

        m.d.comb += [
            self.m_axi_araddr.eq(field(Kind.READ, 0, 1)),
            self.m_axi_awaddr.eq(field(Kind.WRITE, 0, 1)),
            self.m_axi_wdata.eq(field(Kind.WRITE, 1, 4)),
            self.m_axi_wstrb.eq(0b1111),
            self.m_axis_program_tdata.eq(field(Kind.PROGRAM, 0, 4)),
            self.m_axis_program_tlast.eq((kind == Kind.PROGRAM_END) & is_last),
            self.m_axis_points_tdata.eq(field(Kind.POINTS, 0, 6)),
            self.m_axis_points_tlast.eq((kind == Kind.POINTS_END) & is_last),
            content.payload.data.eq(kind | RESPONSE),
            content.payload.last.eq(~refused),
            self.m_axi_rready.eq(1),
            self.m_axi_bready.eq(1),
        ]
        with m.FSM():
            with m.State("KIND"):
                m.d.comb += tokens.ready.eq(1)
                with m.If(tokens.valid):
                    m.d.sync += [kind.eq(tokens.payload.data), refused.eq(0)]
                    m.next = "BEGIN"
            with m.State("BEGIN"):
                m.d.sync += bytes_left.eq(item_bytes)
                m.next = "COLLECT"
                with m.If(kind == Kind.READ):  # the response begins before the values are known
                    m.d.comb += [content.valid.eq(1), content.payload.last.eq(0)]
                    with m.If(~content.ready):
                        m.next = "BEGIN"
            with m.State("COLLECT"):
                m.d.comb += tokens.ready.eq(bytes_left != 0)
                with m.If(tokens.valid & tokens.ready):
                    m.d.sync += [
                        bytes_left.eq(bytes_left - 1),
                        item.eq(Cat(item[8:], tokens.payload.data)),
                    ]
                with m.If((bytes_left == 0) & tokens.valid):
                    m.d.sync += bytes_left.eq(item_bytes)
                    with m.Switch(kind):
                        with m.Case(Kind.READ):
                            m.d.sync += self.m_axi_arvalid.eq(1)
                            m.next = "READ"
                        with m.Case(Kind.WRITE):
                            m.d.sync += [self.m_axi_awvalid.eq(1), self.m_axi_wvalid.eq(1)]
                            m.next = "WRITE"
                        with m.Case(Kind.PROGRAM, Kind.PROGRAM_END):
                            m.d.sync += self.m_axis_program_tvalid.eq(1)
                            m.next = "PROGRAM"
                        with m.Case(Kind.POINTS, Kind.POINTS_END):
                            m.d.sync += self.m_axis_points_tvalid.eq(1)
                            m.next = "POINTS"
            with m.State("READ"):
                with m.If(self.m_axi_arready):
                    m.d.sync += self.m_axi_arvalid.eq(0)
                with m.If(self.m_axi_rvalid):
                    m.d.sync += [value.eq(self.m_axi_rdata), bytes_left.eq(4)]
                    with m.If(self.m_axi_rresp != Response.OKAY):
                        m.d.sync += [refused.eq(1), refused_address.eq(self.m_axi_araddr)]
                    m.next = "VALUE"
            with m.State("VALUE"):
                m.d.comb += [
                    content.valid.eq(1),
                    content.payload.data.eq(value[:8]),
                    content.payload.last.eq((bytes_left == 1) & is_last & ~refused),
                ]
                with m.If(content.ready):
                    m.d.sync += [value.eq(value >> 8), bytes_left.eq(bytes_left - 1)]
                    with m.If(bytes_left == 1):
                        m.d.sync += bytes_left.eq(item_bytes)
                        m.next = "COLLECT"
                        with m.If(is_last):
                            m.next = "REFUSAL"
            with m.State("WRITE"):
                with m.If(self.m_axi_awready):
                    m.d.sync += self.m_axi_awvalid.eq(0)
                with m.If(self.m_axi_wready):
                    m.d.sync += self.m_axi_wvalid.eq(0)
                with m.If(self.m_axi_bvalid):
                    with m.If(self.m_axi_bresp != Response.OKAY):
                        m.d.sync += [refused.eq(1), refused_address.eq(self.m_axi_awaddr)]
                    m.next = "DONE"
            for state, valid, ready in (
                ("PROGRAM", self.m_axis_program_tvalid, self.m_axis_program_tready),
                ("POINTS", self.m_axis_points_tvalid, self.m_axis_points_tready),
            ):
                with m.State(state), m.If(ready):
                    m.d.sync += valid.eq(0)
                    m.next = "DONE"
            with m.State("DONE"):
                m.next = "COLLECT"
                with m.If(is_last):
                    m.d.comb += content.valid.eq(1)
                    m.next = "DONE"
                    with m.If(content.ready):
                        m.next = "REFUSAL"
            with m.State("REFUSAL"):
                m.d.comb += [
                    content.valid.eq(refused),
                    content.payload.data.eq(refused_address),
                    content.payload.last.eq(1),
                ]
                with m.If(content.ready | ~refused):
                    m.d.comb += tokens.ready.eq(1)
                    m.next = "KIND"
        return m
