# amaranth: UnusedElaboratable=no
"""Formal proofs of the AXI ports, of the components and of a small accelerator."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Assume
from amaranth.lib.wiring import Component, Out

from implicore.hw.axi import AXI_LITE
from implicore.registers import REGISTERS, Response, addresses, masks

from .harness import TINY, Harness, Proof, holds_under_stall, past

RESPONSE_BOUND = 3
"""Cycles, with a manager that is ready for the response, from an access to its response."""

WORDS = {
    addresses()[register.name] // 4 + number: register
    for register in REGISTERS
    for number in range(register.count * register.words)
}
"""The register of each word of the map."""


def accesses(m: Module, port: SimpleNamespace) -> tuple[SimpleNamespace, SimpleNamespace]:
    """Return when a write and a read is executed, its address, and a write's data and strobes."""
    awaddr, araddr = (Signal.like(port.awaddr, name=f"{name}_address") for name in ("w", "r"))
    wdata, wstrb = Signal.like(port.wdata, name="data"), Signal.like(port.wstrb, name="strobes")
    with m.If(port.awvalid & port.awready):
        m.d.sync += awaddr.eq(port.awaddr)
    with m.If(port.wvalid & port.wready):
        m.d.sync += [wdata.eq(port.wdata), wstrb.eq(port.wstrb)]
    with m.If(port.arvalid & port.arready):
        m.d.sync += araddr.eq(port.araddr)
    writes = ~port.awready & ~port.wready & ~port.bvalid
    reads = ~port.arready & ~port.rvalid
    return (
        SimpleNamespace(executed=writes, address=awaddr, data=wdata, strobes=wstrb),
        SimpleNamespace(executed=reads, address=araddr),
    )


def register_port(harness: Harness, port: SimpleNamespace) -> None:
    """Assert what an AXI4-Lite manager may rely on; its signals are unconstrained.

    It may offer a write address before its data or after them, and never be ready.
    """
    m = harness.m
    holds_under_stall(harness, port.bvalid, port.bready, port.bresp, name="b")
    holds_under_stall(harness, port.rvalid, port.rready, Cat(port.rdata, port.rresp), name="r")

    # Requests that were accepted and whose response was not: registered, or executed.
    taken = {}
    waiting = {}
    for name, valid, ready, answered, answer in (
        ("aw", port.awvalid, port.awready, port.bvalid & port.bready, port.bvalid),
        ("w", port.wvalid, port.wready, port.bvalid & port.bready, port.bvalid),
        ("ar", port.arvalid, port.arready, port.rvalid & port.rready, port.rvalid),
    ):
        taken[name] = valid & ready
        count = Signal(3, name=f"open_{name}")
        m.d.sync += count.eq(count + taken[name] - answered)
        m.d.comb += Assert(count == ~ready + answer)
        waiting[name] = valid | (count != 0)

    # A response comes within a number of cycles in which the manager is ready for it.
    for name, pending, valid, ready in (
        ("write", waiting["aw"] & waiting["w"], port.bvalid, port.bready),
        ("read", waiting["ar"], port.rvalid, port.rready),
    ):
        waited = Signal(range(RESPONSE_BOUND + 2), name=f"{name}_waited")
        m.d.sync += waited.eq(Mux(pending & ready & ~valid, waited + 1, 0))
        m.d.comb += Assert(waited <= RESPONSE_BOUND)

    write, read = accesses(m, port)
    m.d.comb += [
        Assert(port.bvalid | ~past(m, write.executed, "wrote")),
        Assert(port.rvalid | ~past(m, read.executed, "read")),
    ]

    # One word keeps the bytes that were written last, and a read returns them.
    chosen = addresses()["grid_origin"] // 4
    kept = Signal(32)
    with m.If(write.executed & (write.address[2:] == chosen)):
        for byte in range(4):
            with m.If(write.strobes[byte]):
                m.d.sync += kept.word_select(byte, 8).eq(write.data.word_select(byte, 8))
    value, value_valid = Signal(32), Signal()
    write_allowed, read_allowed = Signal(), Signal()
    with m.If(read.executed):
        m.d.sync += [
            value.eq(kept),
            value_valid.eq(read.address[2:] == chosen),
            read_allowed.eq(read.address[2:].matches(*WORDS)),
        ]
    with m.If(write.executed):
        allowed = [word for word, register in WORDS.items() if register.writable]
        m.d.sync += write_allowed.eq(write.address[2:].matches(*allowed))
    with m.If(port.rvalid):
        m.d.comb += [
            Assert(~value_valid | (port.rdata == value)),
            Assert(port.rresp == Mux(read_allowed, Response.OKAY, Response.SLVERR)),
        ]
    with m.If(port.bvalid):
        m.d.comb += Assert(port.bresp == Mux(write_allowed, Response.OKAY, Response.SLVERR))


def axi_lite(module) -> Harness:
    """A response is stable until accepted; each access is executed once and has one response."""
    dut = module.ControlRegisters()
    harness = Harness(dut)
    register_port(harness, SimpleNamespace(**{name: getattr(dut, name) for name in AXI_LITE}))
    return harness


class Cut(Component):
    """The ports of a component, with unconstrained outputs.

    Attributes
    ----------
    free : list of Value
        The outputs, to be made inputs of the harness.
    """

    def __init__(self, signature):
        super().__init__(signature)
        self._outputs = [
            Value.cast(value) for _, member, value in signature.flatten(self) if member.flow == Out
        ]
        self.free = [Signal(len(value)) for value in self._outputs]

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [value.eq(free) for value, free in zip(self._outputs, self.free, strict=True)]
        return m


class SmallAccelerator:
    """The smallest accelerator, whose core and program loader are cut away, in a harness.

    The core's voxels come between a start and its last voxel, ``clear`` or reset, the last one
    after the last point, and are stable until accepted, which the proofs of its parts show. All
    else that comes from core and loader is unconstrained: no program with a right checksum is
    searched for.

    Attributes
    ----------
    harness : Harness
    dut : Accelerator
    core, loader : Cut
    port : SimpleNamespace
        The register port.
    abort : Signal
        An abort takes effect in this cycle.
    running : Signal
        A job was started and neither ended nor was aborted.
    """

    def __init__(self, module: ModuleType):
        self.core = core = Cut(module.Core(TINY).signature)
        self.loader = loader = Cut(module.ProgramLoader(TINY).signature)
        module.Core, module.ProgramLoader = lambda config: core, lambda config: loader
        self.dut = dut = module.Accelerator(TINY)
        self.harness = harness = Harness(dut)
        harness.free += [*core.free, *loader.free]
        m = harness.m
        port = SimpleNamespace(**{name: getattr(dut, f"s_axi_{name}") for name in AXI_LITE})
        self.port = port
        write, _ = accesses(m, port)
        command = write.executed & (write.address[2:] == addresses()["control"] // 4)
        bit = masks("control")["abort"].bit_length() - 1
        self.abort = past(m, command & write.strobes[0] & write.data[bit], "abort")
        self.running = Signal()
        ends = dut.m_axis_voxels_tvalid & dut.m_axis_voxels_tready & dut.m_axis_voxels_tlast
        with m.If(core.start):
            m.d.sync += self.running.eq(1)
        with m.If(ends | self.abort):
            m.d.sync += self.running.eq(0)

        alive = Signal()
        valid, ready, beat = core.voxels.valid, core.voxels.ready, core.voxels.payload
        with m.If(core.clear | (valid & ready & beat.last)):
            m.d.sync += alive.eq(0)
        with m.If(core.start):
            m.d.sync += alive.eq(1)
        complete = Signal()  # the core was given the last point
        with m.If(core.points.valid & core.points.ready & core.points.payload.last):
            m.d.sync += complete.eq(1)
        with m.If(core.start):
            m.d.sync += complete.eq(0)
        waits = past(m, valid & ~ready & ~core.clear, "core_waits")
        before = past(m, beat.as_value(), "core_beat")
        m.d.comb += [
            Assume(~valid | alive),
            Assume(~valid | ~beat.last | complete),
            Assume(~waits | (valid & (beat.as_value() == before))),
        ]


def accelerator_registers(module) -> Harness:
    """The register port of the whole accelerator has the properties of ``axi_lite``."""
    small = SmallAccelerator(module)
    register_port(small.harness, small.port)
    return small.harness


def accelerator_voxels(module) -> Harness:
    """A beat of voxels is stable until accepted, whatever happens; none is lost or doubled.

    After an abort, only the beat that was offered in its cycle is delivered, before a job starts.
    """
    small = SmallAccelerator(module)
    dut, core, m = small.dut, small.core, small.harness.m
    valid, ready = dut.m_axis_voxels_tvalid, dut.m_axis_voxels_tready
    beat = Cat(dut.m_axis_voxels_tdata, dut.m_axis_voxels_tlast)
    holds_under_stall(small.harness, valid, ready, beat, name="beat")
    made = core.voxels.payload
    with m.If(valid):
        m.d.comb += [
            Assert(core.voxels.valid & (core.voxels.ready == ready)),
            Assert(beat == Cat(Value.cast(made.value), Const(0, 8), made.last)),
        ]
    held = Signal()
    with m.If(small.running):
        m.d.comb += [Assert(valid == core.voxels.valid), Assert(~held)]
        m.d.sync += held.eq(small.abort & valid & ~ready)
    with m.Else():
        m.d.comb += Assert(valid == held)
        m.d.sync += held.eq(held & ~ready)
    with m.If(held):
        m.d.comb += Assert(~core.start & ~core.clear)
    return small.harness


def accelerator_points(module) -> Harness:
    """Each point that is accepted during a job goes to the core once, in order, with ``tlast``.

    None is accepted between a ``tlast`` and the next start or abort. Before a ``tlast``, points are
    dropped between an abort and the next start, and never otherwise. Programs wait for the end of
    a job.
    """
    small = SmallAccelerator(module)
    dut, core, m = small.dut, small.core, small.harness.m
    accepted = dut.s_axis_points_tvalid & dut.s_axis_points_tready
    given = core.points.valid & core.points.ready
    point = Cat(dut.s_axis_points_tdata[:48], dut.s_axis_points_tlast)
    aborted = Signal()  # since the last start
    ended = Signal(init=1)  # the last point was accepted
    from_stream, from_grid = Signal(), Signal()  # points were given to the core in this job
    with m.If(core.start):
        m.d.sync += [aborted.eq(0), ended.eq(0), from_stream.eq(0), from_grid.eq(0)]
    with m.If(small.abort):  # perhaps of a job that has not started, whose points are dropped
        m.d.sync += [aborted.eq(1), ended.eq(0)]
    with m.If(accepted):
        m.d.comb += Assert(~ended & (small.running | aborted) & ~core.start)
        with m.If(dut.s_axis_points_tlast & ~small.abort):
            m.d.sync += ended.eq(1)
        with m.If(small.running):
            m.d.comb += [
                Assert(given & ~from_grid),
                Assert(core.points.payload.as_value() == point),
            ]
            m.d.sync += from_stream.eq(1)
    with m.If(given):
        m.d.comb += Assert(small.running)
        with m.If(~accepted):
            m.d.comb += Assert(~from_stream)
            m.d.sync += from_grid.eq(1)
    m.d.comb += Assert(~(small.running & small.loader.enable))
    return small.harness


def program_loader(module) -> Harness:
    """Each word of a program is taken once, lower half first; each ``tlast`` gives one status.

    The status comes within ``STATUS_BOUND`` cycles, and no word is taken before it.
    """
    dut = module.ProgramLoader(TINY)
    harness = Harness(dut)
    m = harness.m
    word = dut.words.payload
    accepted = dut.words.valid & dut.words.ready
    item = dut.store.coefficient.as_unsigned()
    lower = past(m, accepted, "lower")
    upper = past(m, lower, "upper")
    data = Signal(32)
    with m.If(accepted):
        m.d.sync += data.eq(word.data)
    with m.If(lower):
        m.d.comb += [Assert(item == data[:16]), Assert(~dut.words.ready)]
    with m.If(upper):
        m.d.comb += Assert(item == data[16:])
    due = Signal(range(STATUS_BOUND + 2))
    with m.If(due != 0):
        m.d.sync += due.eq(due + 1)
        m.d.comb += [Assert(~accepted), Assert(due <= STATUS_BOUND)]
    with m.If(dut.done):
        m.d.comb += Assert(due != 0)
        m.d.sync += due.eq(0)
    with m.If(accepted & word.last):
        m.d.sync += due.eq(1)
    return harness


def executor(module) -> Harness:
    """The host link withdraws and changes nothing that it offers on the accelerator's ports."""
    dut = module.Executor()
    harness = Harness(dut)
    m = harness.m
    tokens = dut.tokens
    waits = past(m, tokens.valid & ~tokens.ready, "token_waits")
    before = past(m, tokens.payload.as_value(), "token_before")
    m.d.comb += Assume(~waits | (tokens.valid & (tokens.payload.as_value() == before)))
    # A subordinate responds to what it has accepted.
    for name, requests, response in (("write", ("aw", "w"), "b"), ("read", ("ar",), "r")):
        answered = getattr(dut, f"m_axi_{response}valid")
        for request in requests:
            taken = getattr(dut, f"m_axi_{request}valid") & getattr(dut, f"m_axi_{request}ready")
            count = Signal(name=f"{name}_{request}")
            m.d.sync += count.eq((count | taken) & ~answered)
            m.d.comb += Assume(~answered | count)
    for channel, payload in MANAGED.items():
        holds_under_stall(
            harness,
            getattr(dut, f"{channel}valid"),
            getattr(dut, f"{channel}ready"),
            Cat(getattr(dut, f"{channel}{name}") for name in payload),
            name=channel,
        )
    return harness


MANAGED = {
    "m_axi_aw": ("addr",),
    "m_axi_w": ("data", "strb"),
    "m_axi_ar": ("addr",),
    "m_axis_program_t": ("data", "last"),
    "m_axis_points_t": ("data", "last"),
}
"""The channels that the host link drives, and their payload."""

STATUS_BOUND = 5
"""Cycles from the last word of a program to its status."""

BUS_PROOFS = {
    "axi_lite": Proof(
        "control",
        axi_lite,
        "pdr",
        0,
        ("read_full & ~self.rvalid", "read_full"),
    ),
    "accelerator_registers": Proof(
        "accelerator",
        accelerator_registers,
        "pdr",
        0,
        (
            "m.submodules.control = control = ControlRegisters()",
            "control = ControlRegisters(); m.submodules.control = ResetInserter(abort)(control)",
        ),
    ),
    "accelerator_voxels": Proof(
        "accelerator",
        accelerator_voxels,
        "pdr",
        0,
        ("core.voxels.valid & (running | held)", "core.voxels.valid & running"),
    ),
    "accelerator_points": Proof(
        "accelerator",
        accelerator_points,
        "pdr",
        0,
        ("points_due & ~waiting & (", "points_due & ("),
    ),
    "program_loader": Proof(
        "loader", program_loader, "pdr", 0, ("m.d.sync += item.eq(upper)", "pass")
    ),
    "executor": Proof(
        "link.executor",
        executor,
        "pdr",
        0,
        ("with m.If(self.m_axi_wready)", "with m.If(self.m_axi_awready)"),
    ),
}
