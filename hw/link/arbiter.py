"""Arbitration between several sources of frames."""

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .frames import CONTENT


class FrameArbiter(wiring.Component):
    """Forward one frame at a time; the source with the lowest number has priority.

    Parameters
    ----------
    sources : int

    Attributes
    ----------
    contents : In(streams of CONTENT)
    content : Out(stream of CONTENT)
    """

    def __init__(self, sources: int):
        self.sources = sources
        super().__init__(
            {
                "contents": In(stream.Signature(CONTENT)).array(sources),
                "content": Out(stream.Signature(CONTENT)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        grant = Signal(self.sources)  # one-hot, or 0
        with m.If(grant == 0):
            for number in reversed(range(self.sources)):
                with m.If(self.contents[number].valid):
                    m.d.sync += grant.eq(1 << number)
        for number, source in enumerate(self.contents):
            with m.If(grant[number]):
                m.d.comb += [
                    self.content.valid.eq(source.valid),
                    self.content.payload.eq(source.payload),
                    source.ready.eq(self.content.ready),
                ]
        with m.If(self.content.valid & self.content.ready & self.content.payload.last):
            m.d.sync += grant.eq(0)
        return m
