"""The hardware's frames against those of Python."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from implicore.hw.link.frames import FrameDecoder, FrameEncoder
from implicore.link import END, ESCAPE, decode, encode

SPECIAL = bytes([END, ESCAPE, 0xDC, 0xDD, 0, 0xFF])
CONTENTS = [b"\x01", b"\x02" + SPECIAL, SPECIAL, bytes(range(256)), b"\xc0\xc0\xdb\xdb"]


def simulate(component, *benches):
    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    for bench in benches:
        simulator.add_testbench(bench)
    simulator.run()


def decoded(data: bytes, framing_errors=()) -> list:
    """Return the contents of the good frames in ``data``, and None for each bad frame."""
    decoder = FrameDecoder()
    found, content = [], bytearray()

    async def bench(ctx):
        for number, byte in enumerate([*data, 0, 0]):
            ctx.set(decoder.byte.data, byte)
            ctx.set(decoder.byte.framing_error, number in framing_errors)
            for valid in (number < len(data), 0):
                ctx.set(decoder.valid, valid)
                if ctx.get(decoder.frame.valid):
                    content.append(ctx.get(decoder.frame.data))
                if ctx.get(decoder.frame.good) or ctx.get(decoder.frame.bad):
                    assert ctx.get(decoder.frame.good) != ctx.get(decoder.frame.bad)
                    found.append(bytes(content) if ctx.get(decoder.frame.good) else None)
                    content.clear()
                await ctx.tick()

    simulate(decoder, bench)
    return found


def test_decoder_accepts_good_frames():
    data = b"".join(encode(content[0], content[1:]) for content in CONTENTS)
    assert decoded(data) == CONTENTS


def test_decoder_resynchronizes_after_garbage():
    good = encode(3, b"abcd")
    data = b"garb\xdbage" + good + good[:4] + good + bytes([END] * 3) + good
    # The END of the next frame ends the garbage, and the frame that was cut short.
    assert decoded(data) == [None, b"\x03abcd", None, b"\x03abcd", b"\x03abcd"]


def test_decoder_detects_every_single_bit_error():
    good = encode(3, bytes(range(20)))
    data = bytearray()
    for position in range(1, len(good) - 1):
        for bit in range(8):
            wrong = bytearray(good)
            wrong[position] ^= 1 << bit
            data += wrong
    found = decoded(bytes(data))
    assert len(found) >= 8 * (len(good) - 2)
    assert set(found) == {None}


def test_decoder_rejects_framing_errors_short_frames_and_incomplete_escapes():
    good = encode(3, b"abcd")
    assert decoded(good, framing_errors=[3]) == [None]
    # An extra byte with a framing error: without it the frame would be good.
    assert decoded(good[:3] + b"U" + good[3:], framing_errors=[3]) == [None]
    # FFFF is the CRC of nothing: it matches, but there is no kind.
    for content in (b"\x01", b"\x01\x02", b"\xff\xff", b"abc\xdb"):
        assert decoded(bytes([END]) + content + bytes([END])) == [None]
    wrong = good[:-1] + bytes([ESCAPE, END])
    assert decoded(wrong + good) == [None, b"\x03abcd"]


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
