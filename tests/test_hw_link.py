"""Framing in hardware against that in Python; the whole link is in test_sim_serial."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from implicore.hw.link import FrameDecoder, FrameEncoder, FrameQueue
from implicore.link import END, ESCAPE, decode, encode

SPECIAL = bytes([END, ESCAPE, 0xDC, 0xDD, 0, 0xFF])
CONTENTS = [b"\x01", b"\x02" + SPECIAL, SPECIAL, bytes(range(256)), b"\xc0\xc0\xdb\xdb"]


def simulate(component, *benches):
    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    for bench in benches:
        simulator.add_testbench(bench)
    simulator.run()


def verdicts(data: bytes, broken=()) -> list:
    """What the decoder makes of bytes: contents that are good, None for bad ones."""
    decoder = FrameDecoder()
    found, content = [], bytearray()

    async def bench(ctx):
        for number, byte in enumerate([*data, 0, 0]):
            ctx.set(decoder.byte.data, byte)
            ctx.set(decoder.byte.framing_error, number in broken)
            for valid in (number < len(data), 0):
                ctx.set(decoder.valid, valid)
                if ctx.get(decoder.put):
                    content.append(ctx.get(decoder.data))
                if ctx.get(decoder.good) or ctx.get(decoder.bad):
                    assert ctx.get(decoder.good) != ctx.get(decoder.bad)
                    found.append(bytes(content) if ctx.get(decoder.good) else None)
                    content.clear()
                await ctx.tick()

    simulate(decoder, bench)
    return found


def test_decoder_takes_what_is_whole():
    data = b"".join(encode(content[0], content[1:]) for content in CONTENTS)
    assert verdicts(data) == CONTENTS


def test_decoder_goes_on_after_garbage():
    good = encode(3, b"abcd")
    data = b"garb\xdbage" + good + good[:4] + good + bytes([END] * 3) + good
    # The garbage ends where a frame begins; so does the frame that was cut.
    assert verdicts(data) == [None, b"\x03abcd", None, b"\x03abcd", b"\x03abcd"]


def test_decoder_sees_every_wrong_bit():
    good = encode(3, bytes(range(20)))
    data = bytearray()
    for position in range(1, len(good) - 1):
        for bit in range(8):
            wrong = bytearray(good)
            wrong[position] ^= 1 << bit
            data += wrong
    found = verdicts(bytes(data))
    assert len(found) >= 8 * (len(good) - 2)
    assert set(found) == {None}


def test_decoder_rejects_broken_bytes_short_frames_and_cut_escapes():
    good = encode(3, b"abcd")
    assert verdicts(good, broken=[3]) == [None]
    # A broken byte too many: without it the frame would be whole.
    assert verdicts(good[:3] + b"U" + good[3:], broken=[3]) == [None]
    # The CRC of nothing is FFFF: it holds, but there is no kind.
    for content in (b"\x01", b"\x01\x02", b"\xff\xff", b"abc\xdb"):
        assert verdicts(bytes([END]) + content + bytes([END])) == [None]
    wrong = good[:-1] + bytes([ESCAPE, END])
    assert verdicts(wrong + good) == [None, b"\x03abcd"]


@pytest.mark.parametrize("stall", [0, 0.5])
def test_encoder(stall):
    encoder = FrameEncoder()
    rng = np.random.default_rng(0)
    sent = bytearray()

    async def give(ctx):
        for content in CONTENTS:
            for number, byte in enumerate(content):
                ctx.set(encoder.content.valid, 1)
                ctx.set(encoder.content.payload.data, byte)
                ctx.set(encoder.content.payload.last, number == len(content) - 1)
                await ctx.tick().until(encoder.content.ready)
                ctx.set(encoder.content.valid, 0)
                while rng.random() < stall:
                    await ctx.tick()

    async def take(ctx):
        while sent.count(END) < 2 * len(CONTENTS):
            ready = rng.random() >= stall
            ctx.set(encoder.bytes.ready, ready)
            if ready and ctx.get(encoder.bytes.valid):
                sent.append(ctx.get(encoder.bytes.payload))
            await ctx.tick()

    simulate(encoder, give, take)
    assert bytes(sent) == b"".join(encode(content[0], content[1:]) for content in CONTENTS)
    frames = [frame for frame in bytes(sent).split(bytes([END])) if frame]
    assert [bytes([kind]) + payload for kind, payload in map(decode, frames)] == CONTENTS


def test_queue_gives_what_is_committed_and_takes_back_what_is_dropped():
    queue = FrameQueue(8)
    got = []

    async def put(ctx, values, then):
        for value in values:
            ctx.set(queue.put, 1)
            ctx.set(queue.token.data, value)
            await ctx.tick()
            ctx.set(queue.put, 0)
            await ctx.tick()
        ctx.set(then, 1)
        await ctx.tick()
        ctx.set(then, 0)

    async def bench(ctx):
        await put(ctx, [1, 2], queue.drop)
        await put(ctx, [3, 4, 5, 6], queue.commit)
        await put(ctx, [7], queue.drop)
        await ctx.tick().repeat(5)
        assert not ctx.get(queue.full)
        await put(ctx, range(10, 20), queue.commit)  # more than there is room for
        assert ctx.get(queue.full)
        ctx.set(queue.tokens.ready, 1)
        for _ in range(40):
            if ctx.get(queue.tokens.valid):
                got.append(ctx.get(queue.tokens.payload.data))
            await ctx.tick()
        assert not ctx.get(queue.full)

    simulate(queue, bench)
    # One has left the memory for the output: that makes room for a ninth.
    assert got == [3, 4, 5, 6, 10, 11, 12, 13, 14]


def test_queue_is_full_wherever_it_begins():
    queue = FrameQueue(8)

    async def bench(ctx):
        for first in range(20):
            # Three tokens go through, so that the next eight begin elsewhere.
            for count in (3, 9):
                for value in range(count):
                    assert ctx.get(queue.full) == (value == 8)
                    ctx.set(queue.put, 1)
                    ctx.set(queue.token.data, first + value)
                    await ctx.tick()
                    ctx.set(queue.put, 0)
                    await ctx.tick()
                ctx.set(queue.commit, 1)
                await ctx.tick()
                ctx.set(queue.commit, 0)
                ctx.set(queue.tokens.ready, 1)
                for value in range(min(count, 8)):
                    (got,) = (
                        await ctx.tick().sample(queue.tokens.payload.data).until(queue.tokens.valid)
                    )
                    assert got == first + value
                await ctx.tick()
                assert not ctx.get(queue.tokens.valid)
                ctx.set(queue.tokens.ready, 0)

    simulate(queue, bench)


@pytest.mark.parametrize("depth", [0, 1, 6])
def test_wrong_queue_depth(depth):
    with pytest.raises(ValueError, match=rf"^Queue depth must be a power of two, not {depth}\.$"):
        FrameQueue(depth)
