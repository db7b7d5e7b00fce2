"""The accelerator with its AXI interfaces."""

from amaranth import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from implicore.accelerator_config import AcceleratorConfig
from implicore.fixed import COORDINATE
from implicore.registers import IDENTITY, VERSION, Error

from .axi import AXI_LITE, Ports, axi_lite, axi_stream_sink, axi_stream_source, connect
from .control import ControlRegisters
from .coordinates import CoordinateGenerator
from .core import Core
from .counters import saturating_tally, tally
from .loader import ProgramLoader

POINT_BITS = 64
"""Width of a point on its stream: x, y and z of 16 bits each. The upper bits are ignored."""

CONTROL_PORTS = axi_lite("s_axi")
PROGRAM_PORTS = axi_stream_sink("s_axis_program", 32)
POINT_PORTS = axi_stream_sink("s_axis_points", POINT_BITS)
VOXEL_BITS = 16
"""Width of a voxel on its stream, zero-extended."""


def voxel_ports(voxels_per_beat: int) -> Ports:
    """Return the ports of the voxel stream; beats of several voxels have ``tkeep``."""
    bits = VOXEL_BITS * voxels_per_beat
    return axi_stream_source("m_axis_voxels", bits, keep=voxels_per_beat > 1)


class Accelerator(wiring.Component):
    """Decode voxels of a program that is loaded at run time.

    The ports are three AXI4-Streams and one AXI4-Lite subordinate, with the standard signal names,
    one clock ``clk`` and one synchronous reset ``rst``. ``implicore.registers`` defines the
    register map, ``implicore.stream`` the program stream.

    First send a program. Then either describe a grid in the registers and start it, or start a
    stream of points and send them, the last one with ``tlast``. The voxels arrive in the order of
    the points, or with the grid's first index fastest; a point of a network with several outputs
    yields all of them in order. ``tlast`` is high with the last voxel of a job. A program is
    accepted only while no job runs.

    Latency and throughput: exactly as ``implicore.cycles`` predicts.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    s_axi_* : AXI4-Lite subordinate, 32 bits
        The registers.
    s_axis_program_* : AXI4-Stream, 32 bits
        Programs.
    s_axis_points_* : AXI4-Stream, 64 bits
        Points.
    m_axis_voxels_* : AXI4-Stream, 16 bits times ``voxels_per_beat``
        Voxels, each zero-extended to 16 bits, the first one in the lowest bits. Only the last beat
        of a job may have fewer; ``tkeep`` says which.
    irq : Out(1)
        An enabled event is pending.
    """

    def __init__(self, config: AcceleratorConfig):
        self.config = config
        super().__init__(
            {
                **CONTROL_PORTS,
                **PROGRAM_PORTS,
                **POINT_PORTS,
                **voxel_ports(config.voxels_per_beat),
                "irq": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        abort = Signal()
        m.submodules.control = control = ControlRegisters()
        loader = ProgramLoader(config)
        m.submodules.core = core = Core(config)
        generator = CoordinateGenerator()
        # An abort stops the core. After it has drained and the offered voxels have been taken, it
        # is cleared. The program stays in the memories.
        m.submodules.loader = ResetInserter(abort)(loader)
        m.submodules.generator = ResetInserter(abort)(generator)
        drain_cycles_left = Signal(range(config.abort_latency + 1), init=config.abort_latency)
        drained = Signal()
        held = Signal()  # a beat that was offered at the abort; valid must stay until it is taken
        m.d.sync += [
            core.clear.eq(drain_cycles_left == 1),
            drained.eq((drain_cycles_left == 0) & ~abort),
            held.eq((abort | held) & self.m_axis_voxels_tvalid & ~self.m_axis_voxels_tready),
        ]
        with m.If(abort | held):
            m.d.sync += drain_cycles_left.eq(config.abort_latency)
        with m.Elif(drain_cycles_left != 0):
            m.d.sync += drain_cycles_left.eq(drain_cycles_left - 1)
        m.d.comb += connect(control, self, AXI_LITE, "s_axi_{}".format)
        m.d.comb += self.irq.eq(control.interrupt)

        # Jobs. A command takes effect one cycle after its write. The job starts in the next cycle
        # or, after an abort, when the core has drained.
        command = Signal.like(control.wo.control)
        m.d.sync += command.eq(control.wo.control)
        running = Signal()
        accept_points = Signal()  # until the last point of the job
        points_due = Signal()  # until the last point of the job, also after an abort
        from_grid = Signal()
        loaded = Signal()
        start_requested = command.start_grid | command.start_points
        waiting = Signal()
        start = Signal()
        busy = running | waiting | loader.loading
        point_transfer = Signal()
        voxel_transfer = Signal()
        job_ends = Signal()
        m.d.comb += [
            abort.eq(command.abort),
            start.eq(waiting & drained),
            point_transfer.eq(core.points.valid & core.points.ready),
            self.m_axis_voxels_tvalid.eq(core.voxels.valid & (running | held)),
            voxel_transfer.eq(self.m_axis_voxels_tvalid & self.m_axis_voxels_tready),
            job_ends.eq(voxel_transfer & core.voxels.payload.last & running),
            core.start.eq(start),
            core.running.eq(running),
            core.shape.eq(loader.shape),
            core.store.eq(loader.store),
            generator.start.eq(start & from_grid),
        ]
        m.d.comb += [
            generator.grid.size_minus_one.eq(control.rw.grid_size_minus_one),
            generator.grid.origin.eq(control.rw.grid_origin),
            generator.grid.increments.eq(control.rw.grid_increments),
        ]
        accepted = start_requested & loaded & ~busy & ~abort
        with m.If(self.s_axis_points_tvalid & self.s_axis_points_tready & self.s_axis_points_tlast):
            m.d.sync += points_due.eq(0)
        with m.If(accepted):
            m.d.sync += [
                waiting.eq(1),
                from_grid.eq(command.start_grid),
                points_due.eq(~command.start_grid),
            ]
        with m.If(start):
            m.d.sync += [waiting.eq(0), running.eq(1), accept_points.eq(1)]
        with m.If(point_transfer & core.points.payload.last):
            m.d.sync += accept_points.eq(0)  # later points belong to the next job
        with m.If(job_ends | abort):
            m.d.sync += [waiting.eq(0), running.eq(0), accept_points.eq(0)]

        # Streams.
        point = Cat(self.s_axis_points_tdata[: 3 * COORDINATE.bits], self.s_axis_points_tlast)
        m.d.comb += [
            loader.enable.eq(~running & ~waiting & ~start_requested),
            loader.words.valid.eq(self.s_axis_program_tvalid),
            loader.words.payload.data.eq(self.s_axis_program_tdata),
            loader.words.payload.last.eq(self.s_axis_program_tlast),
            self.s_axis_program_tready.eq(loader.words.ready),
            core.points.valid.eq(
                accept_points & Mux(from_grid, generator.points.valid, self.s_axis_points_tvalid)
            ),
            core.points.payload.eq(Mux(from_grid, generator.points.payload.as_value(), point)),
            generator.points.ready.eq(core.points.ready),
            # The points that an aborted job has not taken are dropped.
            self.s_axis_points_tready.eq(points_due & ~waiting & (core.points.ready | ~running)),
            self.m_axis_voxels_tlast.eq(core.voxels.payload.last),
            core.voxels.ready.eq(self.m_axis_voxels_tready),
        ]
        voxel, bits = core.voxels.payload, config.formats.output_bits
        for number in range(config.voxels_per_beat):
            m.d.comb += self.m_axis_voxels_tdata.word_select(number, VOXEL_BITS).eq(
                voxel.value.word_select(number, bits)
            )
        if config.voxels_per_beat > 1:
            octets = [bit.replicate(VOXEL_BITS // 8) for bit in voxel.keep]
            m.d.comb += self.m_axis_voxels_tkeep.eq(Cat(octets))

        # Status, errors, events.
        error = Signal(Error)
        rejected = start_requested & ~accepted & ~abort
        with m.If(loader.loading):
            m.d.sync += loaded.eq(0)
        with m.If(loader.done):
            m.d.sync += [loaded.eq(loader.error == Error.NONE), error.eq(loader.error)]
        with m.If(start):
            m.d.sync += error.eq(Error.NONE)
        with m.If(rejected):
            m.d.sync += error.eq(Mux(busy, Error.BUSY, Error.NO_PROGRAM))
        ro = control.ro
        m.d.comb += [
            ro.identity.eq(IDENTITY),
            ro.version.eq(VERSION),
            ro.configuration.eq(config.digest),
            ro.array.eq(config.rows | config.columns << 16),
            ro.status.loaded.eq(loaded),
            ro.status.loading.eq(loader.loading),
            ro.status.running.eq(running | waiting),
            ro.status.held.eq(held),
            ro.error.eq(error),
            control.events.interrupt.done.eq(job_ends),
            control.events.interrupt.loaded.eq(loader.done & (loader.error == Error.NONE)),
            control.events.interrupt.error.eq(
                rejected | (loader.done & (loader.error != Error.NONE))
            ),
        ]

        # Counters of the current job or, between jobs, of the last one. They are final two cycles
        # after the last voxel, before a host that has seen the end of the job can read them.
        first_point_accepted = Signal()
        with m.If(point_transfer):
            m.d.sync += first_point_accepted.eq(1)
        count = {
            "cycles": (first_point_accepted | point_transfer, 1),
            "active_cycles": (core.step, 1),
            "input_stall": (
                first_point_accepted & accept_points & core.points.ready & ~core.points.valid,
                1,
            ),
            "output_stall": (core.voxels.valid & ~self.m_axis_voxels_tready, 1),
            "useful_macs": (core.count_macs, core.useful_macs),
        }
        macs = config.rows * config.columns
        if macs & (macs - 1):
            count["mac_slots"] = (core.step, macs)
        else:  # a power of two: a shift
            m.d.comb += ro.mac_slots.eq(ro.active_cycles << (macs.bit_length() - 1))
        for name, (when, amount) in count.items():
            counter = Signal.like(ro[name], name=name)
            m.d.comb += ro[name].eq(counter)
            tally(m, counter, running & when, amount, start)
        with m.If(start):
            m.d.sync += first_point_accepted.eq(0)

        # Errors of the memories. Reports before the first job after a reset are meaningless: what
        # reads the memories has no reset.
        if config.protection != "none":
            events = control.events.interrupt
            for name, words, event in (
                ("memory_corrected", core.corrected, events.memory_corrected),
                ("memory_errors", core.errors, events.memory_error),
            ):
                reported = Mux(running, words, 0)
                counter = Signal.like(ro[name], name=name)
                m.d.comb += [ro[name].eq(counter), event.eq(reported.any())]
                saturating_tally(m, counter, reported, start)
        return m
