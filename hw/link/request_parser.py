"""Request parser: queues a frame from the host, acts on it at once, or rejects it."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from implicore.link import ITEM_BYTES, QUEUED, Kind, NakReason

from .frames import DECODED_FRAME
from .request_queue import QUEUE_WRITE


class RequestParser(wiring.Component):
    """Check the kind and the size of each frame, and dispatch it at its end.

    Bytes go to the queue as they arrive. They are committed if the frame is a good request of a
    queued kind, and dropped otherwise.

    Latency: ``credit_valid`` and ``nak`` are high in the cycle of the frame's ``good`` or ``bad``;
    ``reset`` and the queue's ``commit`` one cycle later.

    Attributes
    ----------
    frame : In(DECODED_FRAME)
    queue : Out(QUEUE_WRITE)
    reset : Out(1)
        A RESET has arrived; high for one cycle.
    credit_valid : Out(1)
        A CREDIT has arrived.
    credit : Out(16)
        Its number of voxels.
    nak : Out(1)
        A frame is rejected.
    reason : Out(NakReason)
    """

    def __init__(self):
        super().__init__(
            {
                "frame": In(DECODED_FRAME),
                "queue": Out(QUEUE_WRITE),
                "reset": Out(1),
                "credit_valid": Out(1),
                "credit": Out(16),
                "nak": Out(1),
                "reason": Out(NakReason),
            }
        )

    def elaborate(self, platform):
        m = Module()
        frame, queue = self.frame, self.queue
        has_kind = Signal()
        kind = Signal(8)
        item_bytes = Signal(range(max(ITEM_BYTES.values()) + 1))
        position = Signal.like(item_bytes)  # in the item that is arriving
        items = Signal(2)  # 2 stands for more
        overflow = Signal()
        payload = Signal(16, reset_less=True)  # its last two bytes
        known = Signal()
        queued = Signal()
        right_size = Signal()
        m.d.comb += right_size.eq((position == 0) & (items != 0))
        with m.Switch(kind):
            for item_kind, count in ITEM_BYTES.items():
                with m.Case(item_kind):
                    m.d.comb += [known.eq(1), item_bytes.eq(count), queued.eq(item_kind in QUEUED)]
                    if item_kind is Kind.CREDIT:
                        m.d.comb += right_size.eq((position == 0) & (items == 1))
            with m.Case(Kind.RESET):
                m.d.comb += [known.eq(1), right_size.eq((position == 0) & (items == 0))]
        with m.If(frame.valid):
            m.d.sync += has_kind.eq(1)
            m.d.comb += [queue.put.eq(1), queue.token.data.eq(frame.data)]
            with m.If(queue.full):
                m.d.sync += overflow.eq(1)
            with m.If(~has_kind):
                m.d.sync += kind.eq(frame.data)
            with m.Else():
                m.d.sync += [payload.eq(Cat(payload[8:], frame.data)), position.eq(position + 1)]
                with m.If(position + 1 == item_bytes):
                    m.d.sync += [position.eq(0), items.eq(Mux(items == 0, 1, 2))]

        m.d.sync += [self.reset.eq(0), queue.commit.eq(0)]
        m.d.comb += self.credit.eq(payload)
        with m.If(frame.good | frame.bad):
            m.d.sync += [has_kind.eq(0), position.eq(0), items.eq(0), overflow.eq(0)]
            m.d.comb += [self.nak.eq(1), queue.drop.eq(1)]
            with m.If(frame.bad):
                m.d.comb += self.reason.eq(NakReason.CORRUPT)
            with m.Elif(~known):
                m.d.comb += self.reason.eq(NakReason.UNKNOWN_KIND)
            with m.Elif(~right_size):
                m.d.comb += self.reason.eq(NakReason.WRONG_SIZE)
            with m.Elif(queued & (overflow | queue.full)):
                m.d.comb += self.reason.eq(NakReason.NO_SPACE)
            with m.Else():
                m.d.comb += self.nak.eq(0)
                with m.If(queued):
                    m.d.comb += [queue.drop.eq(0), queue.put.eq(1), queue.token.end.eq(1)]
                    m.d.sync += queue.commit.eq(1)
                with m.Elif(kind == Kind.RESET):
                    m.d.sync += self.reset.eq(1)
                with m.Else():
                    m.d.comb += self.credit_valid.eq(1)
        return m
