import numpy as np
import pytest
from amaranth import Module
from amaranth.sim import Simulator

from implicore.hw.uart import UartReceiver, UartTransmitter


def receive(divisor: int, levels) -> list[tuple[int, int]]:
    """Return the received bytes and framing errors for the line's level in each cycle."""
    receiver = UartReceiver(divisor)
    got = []

    async def bench(ctx):
        for level in [*levels, *[1] * (3 * divisor)]:
            ctx.set(receiver.line, int(level))
            await ctx.tick()
            if ctx.get(receiver.valid):
                got.append((ctx.get(receiver.byte.data), ctx.get(receiver.byte.framing_error)))

    simulator = Simulator(receiver)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return got


def line(data, cycles_a_bit: float) -> np.ndarray:
    """Return the line's level in each cycle for some length of a bit, after five idle cycles."""
    bits = [b for byte in data for b in (0, *(byte >> n & 1 for n in range(8)), 1)]
    edges = 5 + np.round(np.arange(len(bits) + 1) * cycles_a_bit).astype(int)
    return np.concatenate([np.ones(5, int), np.repeat(bits, np.diff(edges))])


@pytest.mark.parametrize("divisor", [4, 5, 33])
def test_transmitter_and_receiver(divisor):
    m = Module()
    m.submodules.transmitter = transmitter = UartTransmitter(divisor)
    m.submodules.receiver = receiver = UartReceiver(divisor)
    m.d.comb += receiver.line.eq(transmitter.line)
    data = np.random.default_rng(0).permutation(256)[:40].tolist()
    got, taken = [], []

    async def send(ctx):
        ctx.set(transmitter.bytes.valid, 1)
        for byte in data:
            ctx.set(transmitter.bytes.payload, byte)
            cycles = 1
            while not ctx.get(transmitter.bytes.ready):
                await ctx.tick()
                cycles += 1
            await ctx.tick()
            taken.append(cycles)
        ctx.set(transmitter.bytes.valid, 0)

    async def take(ctx):
        while len(got) < len(data):
            await ctx.tick().until(receiver.valid)
            got.append(ctx.get(receiver.byte.data))
            assert not ctx.get(receiver.byte.framing_error)

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(send)
    simulator.add_testbench(take)
    simulator.run_until(1e-6 * (len(data) + 2) * 11 * divisor)
    assert got == data
    # Ten bits, and the cycle in which the next byte is taken.
    assert set(taken[1:]) == {10 * divisor + 1}


@pytest.mark.parametrize("error", [-0.03, 0.03])
def test_a_transmitter_with_a_rate_error(error):
    data = [0x00, 0xFF, 0x55, 0xAA, 0x80, 0x01]
    assert receive(33, line(data, 33 * (1 + error))) == [(byte, 0) for byte in data]


def test_a_byte_without_a_stop_bit_has_a_framing_error():
    levels = line([0x5A, 0x33], 8)
    levels[5 + 9 * 8 : 5 + 10 * 8] = 0
    got = receive(8, np.concatenate([levels[: 5 + 10 * 8], np.ones(8), levels[5 + 10 * 8 :]]))
    assert got == [(0x5A, 1), (0x33, 0)]


def test_a_line_held_low_gives_one_framing_error():
    assert receive(8, [*[0] * 1000, *[1] * 20, *line([7], 8)]) == [(0, 1), (7, 0)]


def test_a_glitch_is_not_a_start_bit():
    assert receive(16, [1] * 5 + [0] * 4 + [1] * 40) == []


@pytest.mark.parametrize("component", [UartReceiver, UartTransmitter])
def test_invalid_divisor(component):
    with pytest.raises(ValueError, match=r"^UART divisor must be .*3"):
        component(3)
    with pytest.raises(TypeError, match=r"^UART divisor must be .*"):
        component(8.5)
