"""The board's end of ``implicore.link``: an accelerator's ports behind a serial line."""

from amaranth import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.crc import catalog
from amaranth.lib.wiring import In, Out

from implicore.link import (
    END,
    ESCAPE,
    ESCAPED_END,
    ESCAPED_ESCAPE,
    ITEM_BYTES,
    REQUEST_BUFFER_BYTES,
    RESPONSE,
    Kind,
    NakReason,
)

from .accelerator import CONTROL_PORTS, POINT_PORTS, PROGRAM_PORTS, VOXEL_PORTS
from .axi import connect, peer
from .memory import Ram, address_bits
from .uart import RECEIVED, UartReceiver, UartTransmitter

CONTENT = data.StructLayout({"data": 8, "last": 1})
"""A byte of a frame's kind and payload; ``last`` ends the frame."""

TOKEN = data.StructLayout({"data": 8, "end": 1})
"""What the queue holds: a byte of a frame, or the frame's end."""

CRC = catalog.CRC16_IBM_3740(8)

QUEUED = (Kind.READ, Kind.WRITE, Kind.PROGRAM, Kind.PROGRAM_END, Kind.POINTS, Kind.POINTS_END)
"""What is carried out in turn."""

VOXELS_PER_FRAME = 256


EXECUTOR_PORTS = peer({**CONTROL_PORTS, **PROGRAM_PORTS, **POINT_PORTS})
SENDER_PORTS = peer(VOXEL_PORTS)


class FrameDecoder(wiring.Component):
    """Finds frames among bytes, takes the escapes away, and checks the CRC.

    Latency: the last byte of a payload is put two bytes after it has come; the verdict comes two
    cycles after the END byte. Throughput: a byte in two cycles.

    Attributes
    ----------
    valid : In(1)
    byte : In(RECEIVED)
    put : Out(1)
        ``data`` is the next byte of kind and payload.
    data : Out(8)
    good, bad : Out(1)
        The frame has ended, and this is the verdict. Empty frames have none.
    """

    def __init__(self):
        super().__init__(
            {
                "valid": In(1),
                "byte": In(RECEIVED),
                "put": Out(1),
                "data": Out(8),
                "good": Out(1),
                "bad": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.crc = crc = CRC.create()
        escaped = Signal()
        error = Signal()
        # The last two bytes are the CRC, but which ones are the last is known only later.
        held = Signal(data.ArrayLayout(8, 2), reset_less=True)
        count = Signal(range(4))
        plain = Signal()
        byte = Signal(8)
        ended = Signal()
        whole = Signal()
        m.d.comb += [
            crc.data.eq(byte),
            crc.valid.eq(plain),
            whole.eq(~error & (count == 3) & crc.match_detected),
        ]
        m.d.sync += [
            ended.eq(self.valid & ~self.byte.framing_error & (self.byte.data == END)),
            self.put.eq(plain & count[1]),
            self.data.eq(held[1]),
            self.good.eq(ended & whole),
            self.bad.eq(ended & ~whole & (error | (count != 0))),
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
                m.d.comb += [plain.eq(1), byte.eq(END)]
                with m.If(self.byte.data == ESCAPED_ESCAPE):
                    m.d.comb += byte.eq(ESCAPE)
                with m.Elif(self.byte.data != ESCAPED_END):
                    m.d.sync += error.eq(1)
            with m.Elif(self.byte.data == ESCAPE):
                m.d.sync += escaped.eq(1)
            with m.Else():
                m.d.comb += [plain.eq(1), byte.eq(self.byte.data)]
        with m.If(plain):
            m.d.sync += [held[0].eq(byte), held[1].eq(held[0])]
            with m.If(count != 3):
                m.d.sync += count.eq(count + 1)
        return m


class FrameEncoder(wiring.Component):
    """Makes frames: an END, the content and its CRC with escapes, another END.

    Throughput: a byte a cycle.

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
        plain = Signal(8)
        special = Signal()
        escaped = Signal()  # the ESCAPE has gone
        gone = Signal()  # so has what it stands for
        m.d.comb += [
            special.eq((plain == END) | (plain == ESCAPE)),
            out.payload.eq(plain),
            gone.eq(out.valid & out.ready & (~special | escaped)),
            crc.data.eq(plain),
        ]
        with m.If(special):
            code = Mux(plain == END, ESCAPED_END, ESCAPED_ESCAPE)
            m.d.comb += out.payload.eq(Mux(escaped, code, ESCAPE))
            with m.If(out.valid & out.ready):
                m.d.sync += escaped.eq(~escaped)
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
                    plain.eq(content.payload.data),
                    out.valid.eq(content.valid),
                    content.ready.eq(gone),
                    crc.valid.eq(gone),
                ]
                with m.If(gone & content.payload.last):
                    m.next = "HIGH"
            for state, part, following in (("HIGH", 1, "LOW"), ("LOW", 0, "END")):
                with m.State(state):
                    m.d.comb += [plain.eq(crc.crc.word_select(part, 8)), out.valid.eq(1)]
                    with m.If(gone):
                        m.next = following
        return m


class FrameQueue(wiring.Component):
    """Frames on their way from the decoder to where they are carried out.

    What has been put can be read only once it is committed, until when it can be taken back.

    Latency: 4 cycles from ``commit`` to the first token. Throughput: a token is put in two cycles
    and taken in three.

    Parameters
    ----------
    depth : int
        Tokens, a power of two.

    Attributes
    ----------
    put : In(1)
    token : In(TOKEN)
        Not put where ``full``.
    full : Out(1)
        Two cycles after the token that filled it.
    commit, drop : In(1)
    tokens : Out(stream of TOKEN)
    """

    def __init__(self, depth: int):
        if depth < 2 or depth & (depth - 1):
            raise ValueError(f"Queue depth must be a power of two, not {depth}.")
        self.depth = depth
        super().__init__(
            {
                "put": In(1),
                "token": In(TOKEN),
                "full": Out(1),
                "commit": In(1),
                "drop": In(1),
                "tokens": Out(stream.Signature(TOKEN)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bits = address_bits(self.depth)
        m.submodules.ram = ram = Ram("requests", self.depth, TOKEN.size)
        # One bit more than an address, so that full differs from empty.
        written, committed, read = (
            Signal(bits + 1, name=name) for name in ("written", "committed", "read")
        )
        fetch = Signal()
        fetched = Signal()
        there = Signal()
        token = Signal(TOKEN, reset_less=True)  # a memory's output comes late in its cycle
        m.d.comb += [
            ram.write_enable.eq(self.put & ~self.full),
            ram.write_address.eq(written),
            ram.write_data.eq(self.token),
            fetch.eq((committed != read) & ~fetched & ~there),
            ram.read_enable.eq(fetch),
            ram.read_address.eq(read),
            self.tokens.valid.eq(there),
            self.tokens.payload.eq(token),
        ]
        m.d.sync += [fetched.eq(fetch), self.full.eq((written ^ read) == self.depth)]
        with m.If(ram.write_enable):
            m.d.sync += written.eq(written + 1)
        with m.If(self.commit):
            m.d.sync += committed.eq(written)
        with m.If(self.drop):
            m.d.sync += written.eq(committed)
        with m.If(fetch):
            m.d.sync += read.eq(read + 1)
        with m.If(fetched):
            m.d.sync += [token.eq(ram.read_data), there.eq(1)]
        with m.If(there & self.tokens.ready):
            m.d.sync += there.eq(0)
        return m


class Executor(wiring.Component):
    """Carries out one request after the other and responds to it.

    Attributes
    ----------
    tokens : In(stream of TOKEN)
        Requests that are known to be right.
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
        item = Signal(8 * max(ITEM_BYTES.values()), reset_less=True)
        # Bytes of the item that have not come; items are shifted in from above.
        left = Signal(range(max(ITEM_BYTES.values()) + 1))
        size = Signal.like(left)
        last = tokens.payload.end  # while an item is carried out, what follows it is looked at
        response = Signal(32, reset_less=True)
        with m.Switch(kind):
            for each in QUEUED:
                with m.Case(each):
                    m.d.comb += size.eq(ITEM_BYTES[each])

        def field(each: Kind, first: int, count: int):
            """Some bytes of an item of that kind."""
            start = len(item) - 8 * ITEM_BYTES[each] + 8 * first
            return item[start : start + 8 * count]

        m.d.comb += [
            self.m_axi_araddr.eq(field(Kind.READ, 0, 1)),
            self.m_axi_awaddr.eq(field(Kind.WRITE, 0, 1)),
            self.m_axi_wdata.eq(field(Kind.WRITE, 1, 4)),
            self.m_axi_wstrb.eq(0b1111),
            self.m_axis_program_tdata.eq(field(Kind.PROGRAM, 0, 4)),
            self.m_axis_program_tlast.eq((kind == Kind.PROGRAM_END) & last),
            self.m_axis_points_tdata.eq(field(Kind.POINTS, 0, 6)),
            self.m_axis_points_tlast.eq((kind == Kind.POINTS_END) & last),
            content.payload.data.eq(kind | RESPONSE),
            content.payload.last.eq(1),
            # There is one transfer at a time, and its end is waited for.
            self.m_axi_rready.eq(1),
            self.m_axi_bready.eq(1),
        ]
        with m.FSM():
            with m.State("KIND"):
                m.d.comb += tokens.ready.eq(1)
                with m.If(tokens.valid):
                    m.d.sync += kind.eq(tokens.payload.data)
                    m.next = "BEGIN"
            with m.State("BEGIN"):
                m.d.sync += left.eq(size)
                m.next = "COLLECT"
                with m.If(kind == Kind.READ):  # its response begins before the values are known
                    m.d.comb += [content.valid.eq(1), content.payload.last.eq(0)]
                    with m.If(~content.ready):
                        m.next = "BEGIN"
            with m.State("COLLECT"):
                m.d.comb += tokens.ready.eq(left != 0)
                with m.If(tokens.valid & tokens.ready):
                    m.d.sync += [
                        left.eq(left - 1),
                        item.eq(Cat(item[8:], tokens.payload.data)),
                    ]
                with m.If((left == 0) & tokens.valid):
                    m.d.sync += left.eq(size)
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
                    m.d.sync += [response.eq(self.m_axi_rdata), left.eq(4)]
                    m.next = "VALUE"
            with m.State("VALUE"):
                m.d.comb += [
                    content.valid.eq(1),
                    content.payload.data.eq(response[:8]),
                    content.payload.last.eq((left == 1) & last),
                ]
                with m.If(content.ready):
                    m.d.sync += [response.eq(response >> 8), left.eq(left - 1)]
                    with m.If(left == 1):
                        m.d.sync += left.eq(size)
                        m.d.comb += [tokens.ready.eq(last)]
                        m.next = "COLLECT"
                        with m.If(last):
                            m.next = "KIND"
            with m.State("WRITE"):
                with m.If(self.m_axi_awready):
                    m.d.sync += self.m_axi_awvalid.eq(0)
                with m.If(self.m_axi_wready):
                    m.d.sync += self.m_axi_wvalid.eq(0)
                with m.If(self.m_axi_bvalid):
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
                with m.If(last):
                    m.d.comb += content.valid.eq(1)
                    m.next = "DONE"
                    with m.If(content.ready):
                        m.d.comb += tokens.ready.eq(1)
                        m.next = "KIND"
        return m


class VoxelSender(wiring.Component):
    """Puts voxels into frames, as many as the credit allows.

    A frame ends after ``VOXELS_PER_FRAME`` voxels, with the last one of the credit, with the last
    one of a job, and when none comes for ``flush_timeout`` cycles or another frame waits.

    Parameters
    ----------
    flush_timeout : int

    Attributes
    ----------
    credit_valid : In(1)
        Add ``credit`` to the voxels that may be sent: together at most 65535.
    credit : In(16)
    flush : In(1)
        Another frame waits.
    content : Out(stream of CONTENT)
    s_axis_voxels_* : AXI4-Stream, 16 bits
    """

    def __init__(self, flush_timeout: int):
        self.flush_timeout = flush_timeout
        super().__init__(
            {
                "credit_valid": In(1),
                "credit": In(16),
                "flush": In(1),
                "content": Out(stream.Signature(CONTENT)),
                **SENDER_PORTS,
            }
        )

    def elaborate(self, platform):
        m = Module()
        content = self.content
        available = Signal(16)
        has_credit = Signal()  # a cycle late, which nobody notices: a byte takes longer
        take = Signal()
        m.d.comb += take.eq(self.s_axis_voxels_tvalid & self.s_axis_voxels_tready)
        m.d.sync += [
            available.eq(available + Mux(self.credit_valid, self.credit, 0) - take),
            has_credit.eq(available != 0),
        ]
        voxel = Signal(16, reset_less=True)
        job_ends = Signal()
        wait = Signal(range(self.flush_timeout + 1))
        count = Signal(range(VOXELS_PER_FRAME + 1))
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [job_ends.eq(0), count.eq(0), wait.eq(self.flush_timeout)]
                with m.If(self.s_axis_voxels_tvalid & has_credit):
                    m.next = "KIND"
            with m.State("KIND"):
                m.d.comb += [content.valid.eq(1), content.payload.data.eq(Kind.VOXELS)]
                with m.If(content.ready):
                    m.d.sync += self.s_axis_voxels_tready.eq(1)
                    m.next = "TAKE"
            with m.State("TAKE"):
                m.d.sync += [
                    voxel.eq(self.s_axis_voxels_tdata),
                    job_ends.eq(self.s_axis_voxels_tlast),
                    wait.eq(wait - 1),
                ]
                with m.If(take):
                    m.d.sync += [
                        self.s_axis_voxels_tready.eq(0),
                        count.eq(count + 1),
                        wait.eq(self.flush_timeout),
                    ]
                    m.next = "LOW"
                with m.Elif(self.flush | (wait == 0)):
                    m.d.sync += [self.s_axis_voxels_tready.eq(0), job_ends.eq(0)]
                    m.next = "FLAG"
            for state, part, following in (("LOW", 0, "HIGH"), ("HIGH", 1, "NEXT")):
                with m.State(state):
                    m.d.comb += [
                        content.valid.eq(1),
                        content.payload.data.eq(voxel.word_select(part, 8)),
                    ]
                    with m.If(content.ready):
                        m.next = following
            with m.State("NEXT"):
                with m.If(job_ends | ~has_credit | (count == VOXELS_PER_FRAME)):
                    m.next = "FLAG"
                with m.Else():
                    m.d.sync += self.s_axis_voxels_tready.eq(1)
                    m.next = "TAKE"
            with m.State("FLAG"):
                m.d.comb += [
                    content.valid.eq(1),
                    content.payload.data.eq(job_ends),
                    content.payload.last.eq(1),
                ]
                with m.If(content.ready):
                    m.next = "IDLE"
        return m


class FrameArbiter(wiring.Component):
    """Several sources of frames take turns, frame by frame; the first one goes first.

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
        chosen = Signal(self.sources)  # one-hot, or nobody
        with m.If(chosen == 0):
            for number in reversed(range(self.sources)):
                with m.If(self.contents[number].valid):
                    m.d.sync += chosen.eq(1 << number)
        for number, each in enumerate(self.contents):
            with m.If(chosen[number]):
                m.d.comb += [
                    self.content.valid.eq(each.valid),
                    self.content.payload.eq(each.payload),
                    each.ready.eq(self.content.ready),
                ]
        with m.If(self.content.valid & self.content.ready & self.content.payload.last):
            m.d.sync += chosen.eq(0)
        return m


class Notices(wiring.Component):
    """Makes the frames that are not responses of the executor.

    What is asked for while a frame of its kind has not begun is told once, with the last reason.

    Attributes
    ----------
    reset_done, credited, nak : In(1)
    reason : In(NakReason)
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
        asked = Signal(3)
        begun = Signal(3)
        reason = Signal(NakReason)
        kind = Signal(8)
        events = Cat(self.reset_done, self.credited, self.nak)
        m.d.sync += asked.eq((asked & ~begun) | events)
        with m.If(self.nak):
            m.d.sync += reason.eq(self.reason)
        kinds = (Kind.RESET + RESPONSE, Kind.CREDIT + RESPONSE, Kind.NAK)
        with m.FSM():
            with m.State("IDLE"):
                for number, each in enumerate(kinds):
                    with m.If(asked[number]):
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


class HostLink(wiring.Component):
    """Gives a host on a serial line all ports of an accelerator, see ``implicore.link``.

    The line is the slowest part by far, so nothing here hurries.

    Parameters
    ----------
    divisor : int
        Clock cycles of a bit on the line.

    Attributes
    ----------
    rx : In(1)
    tx : Out(1)
    reset : Out(1)
        For the accelerator.
    m_axi_*, m_axis_program_*, m_axis_points_*, s_axis_voxels_* :
        To be connected with the accelerator's ports.
    """

    def __init__(self, divisor: int):
        self.divisor = divisor
        super().__init__(
            {
                "rx": In(1, init=1),
                "tx": Out(1, init=1),
                "reset": Out(1),
                **EXECUTOR_PORTS,
                **SENDER_PORTS,
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.receiver = receiver = UartReceiver(self.divisor)
        m.submodules.transmitter = transmitter = UartTransmitter(self.divisor)
        m.submodules.decoder = decoder = FrameDecoder()
        m.d.comb += [
            receiver.line.eq(self.rx),
            self.tx.eq(transmitter.line),
            decoder.valid.eq(receiver.valid),
            decoder.byte.eq(receiver.byte),
        ]
        # A reset spares what only knows bytes: a cut one would garble the response to the reset.
        queue, executor, sender = (
            FrameQueue(REQUEST_BUFFER_BYTES),
            Executor(),
            VoxelSender(10 * self.divisor),
        )
        notices, arbiter, encoder = Notices(), FrameArbiter(3), FrameEncoder()
        for name, component in {
            "queue": queue,
            "executor": executor,
            "sender": sender,
            "notices": notices,
            "arbiter": arbiter,
            "encoder": encoder,
        }.items():
            m.submodules[name] = ResetInserter(self.reset)(component)
        wiring.connect(m, queue.tokens, executor.tokens)
        for number, source in enumerate((notices, executor, sender)):
            wiring.connect(m, source.content, arbiter.contents[number])
        wiring.connect(m, arbiter.content, encoder.content)
        wiring.connect(m, encoder.bytes, transmitter.bytes)
        m.d.comb += sender.flush.eq(notices.content.valid | executor.content.valid)
        m.d.comb += connect(executor, self, EXECUTOR_PORTS)
        m.d.comb += connect(sender, self, SENDER_PORTS)

        # The frame that is arriving: its kind, and whether its size can be right.
        begun = Signal()
        kind = Signal(8)
        size = Signal(range(max(ITEM_BYTES.values()) + 1))
        part = Signal.like(size)  # bytes of the item that is arriving
        items = Signal(2)  # none, one, more
        overflow = Signal()
        payload = Signal(16, reset_less=True)  # its last two bytes
        known = Signal()
        queued = Signal()
        fits = Signal()
        m.d.comb += fits.eq((part == 0) & (items != 0))
        with m.Switch(kind):
            for each, count in ITEM_BYTES.items():
                with m.Case(each):
                    m.d.comb += [known.eq(1), size.eq(count), queued.eq(each in QUEUED)]
                    if each is Kind.CREDIT:
                        m.d.comb += fits.eq((part == 0) & (items == 1))
            with m.Case(Kind.RESET):
                m.d.comb += [known.eq(1), fits.eq((part == 0) & (items == 0))]
        with m.If(decoder.put):
            m.d.sync += begun.eq(1)
            m.d.comb += [queue.put.eq(1), queue.token.data.eq(decoder.data)]
            with m.If(queue.full):
                m.d.sync += overflow.eq(1)
            with m.If(~begun):
                m.d.sync += kind.eq(decoder.data)
            with m.Else():
                m.d.sync += [payload.eq(Cat(payload[8:], decoder.data)), part.eq(part + 1)]
                with m.If(part + 1 == size):
                    m.d.sync += [part.eq(0), items.eq(Mux(items == 0, 1, 2))]

        # The verdict, and what is done at once.
        commit = Signal()
        m.d.sync += [self.reset.eq(0), commit.eq(0), notices.reset_done.eq(self.reset)]
        m.d.comb += [queue.commit.eq(commit), sender.credit.eq(payload)]
        with m.If(decoder.good | decoder.bad):
            m.d.sync += [begun.eq(0), part.eq(0), items.eq(0), overflow.eq(0)]
            m.d.comb += [notices.nak.eq(1), queue.drop.eq(1)]
            with m.If(decoder.bad):
                m.d.comb += notices.reason.eq(NakReason.CORRUPT)
            with m.Elif(~known):
                m.d.comb += notices.reason.eq(NakReason.UNKNOWN_KIND)
            with m.Elif(~fits):
                m.d.comb += notices.reason.eq(NakReason.WRONG_SIZE)
            with m.Elif(queued & (overflow | queue.full)):
                m.d.comb += notices.reason.eq(NakReason.NO_SPACE)
            with m.Else():
                m.d.comb += notices.nak.eq(0)
                with m.If(queued):
                    m.d.comb += [queue.drop.eq(0), queue.put.eq(1), queue.token.end.eq(1)]
                    m.d.sync += commit.eq(1)
                with m.Elif(kind == Kind.RESET):
                    m.d.sync += self.reset.eq(1)
                with m.Else():
                    m.d.comb += [sender.credit_valid.eq(1), notices.credited.eq(1)]
        return m
