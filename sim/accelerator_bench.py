"""The cocotb bench of the whole accelerator: runs a session and checks the responses.

It needs only cocotb and cocotbext-axi, so it can be shipped with the Verilog.

The operations are described in ``session.py``.

Environment variables name files of 32-bit little-endian words:

    IMPLICORE_SESSION     the session
    IMPLICORE_EXPECTED    the expected responses, word by word; optional
    IMPLICORE_RESPONSES   file to write with the responses; optional

cocotbext-axi drives the register port and receives the voxels; this bench drives the other streams.
A monitor checks the handshakes of all channels in every cycle.
"""

import logging
import os
import random
from array import array
from collections import deque
from contextlib import suppress
from itertools import count, repeat
from pathlib import Path
from time import perf_counter

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, Event, FallingEdge, First, NullTrigger, RisingEdge
from cocotb.types import LogicArray
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiStreamBus,
    AxiStreamSink,
)

PAYLOADS = {
    "s_axi_awvalid": ("s_axi_awaddr", "s_axi_awprot"),
    "s_axi_wvalid": ("s_axi_wdata", "s_axi_wstrb"),
    "s_axi_arvalid": ("s_axi_araddr", "s_axi_arprot"),
    "s_axis_program_tvalid": ("s_axis_program_tdata", "s_axis_program_tlast"),
    "s_axis_points_tvalid": ("s_axis_points_tdata", "s_axis_points_tlast"),
}
"""The payload inputs that each valid signal qualifies."""

RESPONSES = {
    "s_axi_bvalid": ("s_axi_bresp",),
    "s_axi_rvalid": ("s_axi_rdata", "s_axi_rresp"),
    "m_axis_voxels_tvalid": ("m_axis_voxels_tdata", "m_axis_voxels_tlast"),
}
"""The payload outputs that each valid signal qualifies; with ``tkeep`` if the stream has it."""

READY = ("s_axi_bready", "s_axi_rready", "m_axis_voxels_tready")

OUTPUTS = (
    *(f"s_axi_{name}" for name in ("awready", "wready", "arready")),
    *(f"s_axi_{name}" for name in ("bvalid", "bresp", "rvalid", "rdata", "rresp")),
    *("s_axis_program_tready", "s_axis_points_tready", "irq"),
    *(f"m_axis_voxels_{name}" for name in ("tvalid", "tdata", "tlast")),
)

BEAT = RESPONSES["m_axis_voxels_tvalid"]
"""The payload of a voxel stream without ``tkeep``."""

KEEP = "m_axis_voxels_tkeep"
"""The output that only a voxel stream of several voxels a beat has."""

VOXEL_BITS = 16

TIMEOUT = 1000
"""Cycles without an accepted word after which a sender stops."""

FOUR_STATES = cocotb.SIM_NAME.startswith("Icarus")
"""Whether the simulator has unknown values."""


class Channel:
    """The handshake of a channel, from cycle to cycle.

    Attributes
    ----------
    offered : list of int or None
        The payload in this cycle, None while ``valid`` is low.
    taken : bool
        Whether it is accepted in this cycle.
    """

    def __init__(self, dut, valid, payload):
        self._name, self._valid = valid, getattr(dut, valid)
        self._ready = getattr(dut, valid.removesuffix("valid") + "ready")
        self._payload = [getattr(dut, name) for name in payload]
        self.reset()

    def reset(self):
        """Drop what is offered."""
        self.offered, self.taken = None, False

    def check(self, cycle):
        """Look at the channel in the next cycle; fail if what it offered is gone."""
        before = None if self.taken else self.offered
        self.reset()
        if int(self._valid.value):
            self.offered = [int(port.value) for port in self._payload]
            self.taken = bool(int(self._ready.value))
        if before is not None:
            what = "withdrawn" if self.offered is None else "changed"
            assert self.offered == before, f"{self._name}: {what} before ready, in cycle {cycle}"


class Source:
    """The transmitter of a stream. What it offers stays offered until it is taken.

    Attributes
    ----------
    queue : deque of (int, bool)
        Data and ``tlast`` of what will be offered.
    accepted : int
        Number of words that were taken.
    stalls : iterator of bool
        Whether the source stalls in the next cycle.
    """

    def __init__(self, dut, name):
        self.queue, self.accepted, self.stalls = deque(), 0, repeat(False)
        ports = (getattr(dut, f"{name}_t{port}") for port in ("valid", "ready", "data", "last"))
        cocotb.start_soon(self._run(dut, *ports))

    async def _run(self, dut, valid, ready, data, last):
        while True:
            await RisingEdge(dut.clk)
            if int(dut.rst.value):
                self.queue.clear()
                valid.value = 0
                continue
            if int(valid.value):
                if not int(ready.value):
                    continue
                self.accepted += 1
            offers = bool(self.queue) and not next(self.stalls)
            valid.value = offers
            if offers:
                data.value, last.value = self.queue.popleft()


class Bench:
    """The drivers of all ports and the monitor of the voxel stream.

    Parameters
    ----------
    dut : the accelerator's handle
    stall : float
        Probability of a stall of each channel of each port in each cycle.
    seed : int
        Seed of the stalls.
    """

    def __init__(self, dut, stall, seed):
        self.dut = dut
        self.cycles = 0
        self.beats = []  # received since the last decode, as pairs of voxels and tlast
        self.offered = 0  # cycles with tvalid high on the voxel stream
        self.ended = Event()
        self.outputs = [*OUTPUTS, KEEP] if hasattr(dut, KEEP) else OUTPUTS

        self.registers = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst)
        self.program = Source(dut, "s_axis_program")
        self.points = Source(dut, "s_axis_points")
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis_voxels"), dut.clk, dut.rst)
        write, read = self.registers.write_if, self.registers.read_if
        self.channels = [write.aw_channel, write.w_channel, write.b_channel]
        self.channels += [read.ar_channel, read.r_channel]
        self.sink.pause = True  # ready only during a decode
        self.set_stalls(stall, seed)
        for driver in (self.sink, write, read):
            driver.log.setLevel(logging.WARNING)
        if FOUR_STATES:
            cocotb.start_soon(self._drive_unknown())
        cocotb.start_soon(self._monitor())

    def set_stalls(self, probability, seed):
        """Set the probability of a stall of each channel in each cycle."""
        self.sink_stalls = _noise(probability, (seed, "sink"))
        self.program.stalls = _noise(probability, (seed, "program"))
        self.points.stalls = _noise(probability, (seed, "points"))
        for number, channel in enumerate(self.channels):
            channel.clear_pause_generator()
            channel.pause = False
            if probability:
                channel.set_pause_generator(_noise(probability, (seed, number)))

    @classmethod
    async def start(cls, dut, stall, seed):
        """Return a bench with the clock running and the accelerator just out of reset."""
        Clock(dut.clk, 10, "ns").start()
        dut.rst.value = 1
        for name in (*PAYLOADS, *READY):
            getattr(dut, name).value = 0
        await ClockCycles(dut.clk, 2)
        bench = cls(dut, stall, seed)
        await bench.reset(2)
        return bench

    async def _drive_unknown(self):
        """Drive every payload to X while its valid signal is low."""
        channels = [
            (getattr(self.dut, valid), [getattr(self.dut, name) for name in payload])
            for valid, payload in PAYLOADS.items()
        ]
        while True:
            # The drivers change their signals at the rising edge.
            await FallingEdge(self.dut.clk)
            for valid, payload in channels:
                if not int(valid.value):
                    for port in payload:
                        port.value = LogicArray("X" * len(port))

    async def _monitor(self):
        """Check every channel in every cycle, and collect the voxels.

        What a channel offers, it neither withdraws nor changes before it is taken; only a reset
        does. No output is unknown.
        """
        dut = self.dut
        channels = [Channel(dut, valid, payload) for valid, payload in PAYLOADS.items()]
        for valid, payload in RESPONSES.items():
            keep = (KEEP,) if payload == BEAT and KEEP in self.outputs else ()
            channels.append(Channel(dut, valid, (*payload, *keep)))
        voxels = channels[-1]
        for self.cycles in count():
            await RisingEdge(dut.clk)
            if int(dut.rst.value):
                for channel in channels:
                    channel.reset()
                continue
            if FOUR_STATES:
                self._assert_known()
            for channel in channels:
                channel.check(self.cycles)
            self.offered += voxels.offered is not None
            if voxels.taken:
                data, last, *keep = voxels.offered
                self.beats.append((self._voxels(bool(last), data, *keep), bool(last)))
                if last:
                    self.ended.set()

    def _voxels(self, last, data, keep=None):
        """Return the voxels of a beat, which must be full unless it is the last one."""
        most = len(self.dut.m_axis_voxels_tdata) // VOXEL_BITS
        count = most if keep is None else keep.bit_length() // 2
        where = f"in cycle {self.cycles}"
        assert keep in (None, (1 << 2 * count) - 1), f"tkeep does not name the first voxels {where}"
        assert count == most or (count and last), f"a beat before the last one is not full {where}"
        mask = (1 << VOXEL_BITS) - 1
        return [data >> number * VOXEL_BITS & mask for number in range(count)]

    def _assert_known(self):
        values = {name: getattr(self.dut, name).value for name in self.outputs}
        # A beat that is not offered comes from a memory, which may not have been written yet.
        offered = str(values["m_axis_voxels_tvalid"]) != "0"
        unknown = [
            name
            for name, value in values.items()
            if not value.is_resolvable and (offered or name not in BEAT)
        ]
        assert not unknown, f"{unknown} unknown in cycle {self.cycles}"

    async def reset(self, cycles):
        """Hold the reset high for a number of cycles."""
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, cycles)
        self.dut.rst.value = 0
        # cocotbext-axi sees the end of the reset one cycle later.
        await RisingEdge(self.dut.clk)
        self.beats.clear()

    async def write(self, address, value, strobes=15):
        """Write the neighbouring bytes of a register's word that ``strobes`` names."""
        first, end = (strobes & -strobes).bit_length() - 1, strobes.bit_length()
        octets = value.to_bytes(4, "little")[first:end]
        response = await self.registers.write(address + first, octets)
        return int(response.resp)

    async def read(self, address):
        """Read a register's word; return the response and the word."""
        response = await self.registers.read(address, 4)
        return int(response.resp), int.from_bytes(response.data, "little")

    async def send(self, words, stop):
        """Send the first ``stop`` words of a program; return how many were accepted."""
        before, accepted, remaining = self.program.accepted, 0, TIMEOUT
        last = len(words) - 1
        self.program.queue.extend((word, at == last) for at, word in enumerate(words[:stop]))
        while accepted < stop and remaining:
            await RisingEdge(self.dut.clk)
            remaining = remaining - 1 if self.program.accepted - before == accepted else TIMEOUT
            accepted = self.program.accepted - before
        self.program.queue.clear()
        return accepted

    async def decode(self, limit, points):
        """Send points and receive voxels up to ``tlast`` or for ``limit`` cycles."""
        self.ended.clear()
        last = len(points) - 1
        self.points.queue.extend((point, at == last) for at, point in enumerate(points))
        self.sink.set_pause_generator(self.sink_stalls)
        await First(self.ended.wait(), ClockCycles(self.dut.clk, limit))
        self.sink.clear_pause_generator()
        self.sink.pause = True
        self.points.queue.clear()
        # The sink stays ready for one more cycle, and the monitor may see its last voxel later.
        await ClockCycles(self.dut.clk, 2)
        while not self.sink.empty():
            self.sink.recv_nowait()
        received, self.beats = self.beats, []
        lasts = [index for index, (_, last) in enumerate(received) if last]
        count = len(received)
        assert lasts in ([], [count - 1]), f"tlast came with beats {lasts} of {count}"
        return bool(lasts), [voxel for voxels, _ in received for voxel in voxels]

    async def idle(self, cycles):
        """Wait, and return the number of cycles in which a voxel was offered."""
        before = self.offered
        await ClockCycles(self.dut.clk, cycles)
        return self.offered - before


def _noise(probability, seed):
    generator = random.Random(repr(seed))
    while True:
        yield generator.random() < probability


def _words(path):
    words = array("I")
    words.frombytes(Path(path).read_bytes())
    return words


@cocotb.test()
async def session(dut):
    """Run the session; every word of the responses must be the expected one."""
    words = _words(os.environ["IMPLICORE_SESSION"])
    expected = os.environ.get("IMPLICORE_EXPECTED")
    expected = _words(expected) if expected else None
    stall, seed = words[0] / 2**32, words[1]
    dut._log.info("stalls with probability %s, seed %s", stall, seed)
    started = perf_counter()
    bench = await Bench.start(dut, stall, seed)
    responses = []

    def respond(name, *values):
        for value in values:
            if expected is not None:
                index = len(responses)
                assert index < len(expected) and value == expected[index], (
                    f"{name}: response {index} is {value}, not {expected[index : index + 1]}"
                )
            responses.append(value)

    try:
        position = 2
        while position < len(words):
            operation, *rest = words[position : position + 4]
            position += (2, 3, 2, 3, 4, 2, 2, 4, 2, 4)[operation]
            if operation == 0:
                await bench.reset(rest[0])
            elif operation == 1:
                response = await bench.write(*rest[:2])
                assert not response, f"writing to {rest[0]:#x} was rejected: {response}"
            elif operation == 2:
                response, value = await bench.read(rest[0])
                assert not response, f"reading from {rest[0]:#x} was rejected: {response}"
                respond(f"register {rest[0]:#x}", value)
            elif operation == 3:
                program = words[position : position + rest[0]]
                position += rest[0]
                respond("accepted words of the program", await bench.send(program, rest[1]))
            elif operation == 4:
                flat = words[position : position + 2 * rest[2]]
                position += len(flat)
                points = [low | high << 32 for low, high in zip(flat[::2], flat[1::2], strict=True)]
                ended, voxels = await bench.decode(rest[0] | rest[1] << 32, points)
                respond("last voxel received", ended)
                respond("number of voxels", len(voxels))
                respond("voxel", *voxels)
            elif operation == 5:
                respond("idle cycles with a voxel offered", await bench.idle(rest[0]))
            elif operation == 7:
                strobes, address, value = rest
                if strobes:
                    response, value = await bench.write(address, value, strobes), 0
                else:
                    response, value = await bench.read(address)
                respond(f"response of register {address:#x}", response)
                respond(f"register {address:#x}", value)
            elif operation == 8:
                bench.set_stalls(rest[0] / 2**32, (seed, bench.cycles))
            elif operation == 9:
                strobes, address, value = rest
                cocotb.start_soon(
                    bench.write(address, value, strobes) if strobes else bench.read(address)
                )
                await NullTrigger()  # the access begins before the next operation
        if expected is not None:
            assert len(responses) == len(expected), (
                f"{len(responses)} responses, not {len(expected)}"
            )
    finally:
        microseconds = round(1e6 * (perf_counter() - started))
        for number in (bench.cycles, microseconds):
            responses += [number & 0xFFFFFFFF, number >> 32]
        with suppress(KeyError):
            Path(os.environ["IMPLICORE_RESPONSES"]).write_bytes(array("I", responses).tobytes())
