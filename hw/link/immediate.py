"""Responses to RESET, CREDIT and rejected requests, which do not pass through the queue."""

from amaranth import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from implicore.link import RESPONSE, Kind, NakReason

from .frames import CONTENT


class ImmediateResponder(wiring.Component):
    """Send the responses to RESET and CREDIT, and NAKs.

    Events of one kind that occur before its frame begins give a single frame, with the latest
    reason.

    Attributes
    ----------
    reset_done, credited, nak : In(1)
    reason : In(NakReason)
        The reason of the NAK.
    content : Out(stream of CONTENT)
    """

    def __init__(self):
        super().__init__(
            {
                "reset_done": In(1),
                "credited": In(1),
                "nak": In(1),
                "reason": In(NakReason),
                "content": Out(stream.Signature(CONTENT)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        content = self.content
        pending = Signal(3)
        begun = Signal(3)
        reason = Signal(NakReason)
        kind = Signal(8)
        events = Cat(self.reset_done, self.credited, self.nak)
        m.d.sync += pending.eq((pending & ~begun) | events)
        with m.If(self.nak):
            m.d.sync += reason.eq(self.reason)
        kinds = (Kind.RESET + RESPONSE, Kind.CREDIT + RESPONSE, Kind.NAK)
        with m.FSM():
            with m.State("IDLE"):
                for number, each in enumerate(kinds):
                    with m.If(pending[number]):
                        m.d.comb += begun.eq(1 << number)
                        m.d.sync += kind.eq(each)
                        m.next = "KIND"
            with m.State("KIND"):
                m.d.comb += [
                    content.valid.eq(1),
                    content.payload.data.eq(kind),
                    content.payload.last.eq(kind != Kind.NAK),
                ]
                with m.If(content.ready):
                    m.next = "IDLE"
                    with m.If(kind == Kind.NAK):
                        m.next = "REASON"
            with m.State("REASON"):
                m.d.comb += [
                    content.valid.eq(1),
                    content.payload.data.eq(reason),
                    content.payload.last.eq(1),
                ]
                with m.If(content.ready):
                    m.next = "IDLE"
        return m
