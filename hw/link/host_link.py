"""The complete link, from the serial line to the accelerator's ports."""

from amaranth import Module, ResetInserter
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from implicore.link import REQUEST_BUFFER_BYTES

from ..accelerator import voxel_ports
from ..axi import Ports, connect, opposite, peer
from ..uart import UartReceiver, UartTransmitter
from .arbiter import FrameArbiter
from .executor import EXECUTOR_PORTS, Executor
from .frames import FrameDecoder, FrameEncoder
from .immediate import ImmediateResponder
from .request_parser import RequestParser
from .request_queue import RequestQueue
from .voxel_sender import SENDER_PORTS, VoxelSender
from .voxel_unpacker import VoxelUnpacker


def link_ports(voxels_per_beat: int) -> Ports:
    """Return the ports that connect to the accelerator's AXI ports."""
    return {**EXECUTOR_PORTS, **peer(voxel_ports(voxels_per_beat))}


class HostLink(wiring.Component):
    """Give a host on a serial line access to all ports of an accelerator (``implicore.link``).

    The line is by far the slowest part, so the other parts are built small rather than fast.

    Parameters
    ----------
    divisor : int
        Clock cycles of a bit on the line.
    voxels_per_beat : int
        Voxels in a beat of the accelerator's voxel stream.

    Attributes
    ----------
    rx : In(1)
    tx : Out(1)
    reset : Out(1)
        Reset of the accelerator, high for one cycle.
    m_axi_*, m_axis_program_*, m_axis_points_*, s_axis_voxels_* :
        Connect to the accelerator's ports.
    """

    def __init__(self, divisor: int, voxels_per_beat: int = 1):
        self.divisor = divisor
        self.voxels_per_beat = voxels_per_beat
        line = {"rx": In(1, init=1), "tx": Out(1, init=1), "reset": Out(1)}
        super().__init__({**line, **link_ports(voxels_per_beat)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.receiver = receiver = UartReceiver(self.divisor)
        m.submodules.transmitter = transmitter = UartTransmitter(self.divisor)
        m.submodules.decoder = decoder = FrameDecoder()
        m.submodules.parser = parser = RequestParser()
        # RESET does not reset the receiver and the transmitter: a byte cut short on the line would
        # corrupt the response to the RESET.
        queue = RequestQueue(REQUEST_BUFFER_BYTES)
        executor, sender = Executor(), VoxelSender(flush_timeout=10 * self.divisor)
        responder, arbiter, encoder = ImmediateResponder(), FrameArbiter(3), FrameEncoder()
        for name, component in {
            "queue": queue,
            "executor": executor,
            "sender": sender,
            "responder": responder,
            "arbiter": arbiter,
            "encoder": encoder,
        }.items():
            m.submodules[name] = ResetInserter(parser.reset)(component)
        wiring.connect(m, decoder.frame, parser.frame)
        wiring.connect(m, parser.queue, queue.write)
        wiring.connect(m, queue.tokens, executor.tokens)
        for number, source in enumerate((responder, executor, sender)):
            wiring.connect(m, source.content, arbiter.contents[number])
        wiring.connect(m, arbiter.content, encoder.content)
        wiring.connect(m, encoder.bytes, transmitter.bytes)
        m.d.sync += responder.reset_done.eq(parser.reset)
        m.d.comb += [
            receiver.line.eq(self.rx),
            self.tx.eq(transmitter.line),
            self.reset.eq(parser.reset),
            decoder.valid.eq(receiver.valid),
            decoder.byte.eq(receiver.byte),
            sender.credit_valid.eq(parser.credit_valid),
            sender.credit.eq(parser.credit),
            sender.flush.eq(responder.content.valid | executor.content.valid),
            responder.credited.eq(parser.credit_valid),
            responder.nak.eq(parser.nak),
            responder.reason.eq(parser.reason),
            *connect(executor, self, EXECUTOR_PORTS),
        ]
        if self.voxels_per_beat == 1:
            m.d.comb += connect(sender, self, SENDER_PORTS)
            return m
        unpacker = VoxelUnpacker(self.voxels_per_beat)
        m.submodules.unpacker = ResetInserter(parser.reset)(unpacker)
        m.d.comb += connect(unpacker, self, peer(voxel_ports(self.voxels_per_beat)))
        m.d.comb += connect(sender, unpacker, SENDER_PORTS, opposite)
        return m
