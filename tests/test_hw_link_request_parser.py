"""The request parser's action for each frame; test_sim_serial tests the complete link."""

import pytest
from amaranth.sim import Simulator

from implicore.hw.link.request_parser import RequestParser
from implicore.link import ITEM_BYTES, QUEUED, Kind, NakReason


def parse(frames, full_at=None) -> list[dict]:
    """Return what happens to each frame, given as a pair of content and whether its CRC is good.

    ``full_at`` is the number of the byte, counted over all frames, from which the queue is full for
    one byte.
    """
    parser = RequestParser()
    results = []

    async def bench(ctx):
        count = 0
        for content, good in frames:
            queued = bytearray()
            for byte in content:
                ctx.set(parser.frame.valid, 1)
                ctx.set(parser.frame.data, byte)
                ctx.set(parser.queue.full, count == full_at)
                assert ctx.get(parser.queue.put) and not ctx.get(parser.queue.token.end)
                queued.append(ctx.get(parser.queue.token.data))
                await ctx.tick()
                ctx.set(parser.frame.valid, 0)
                await ctx.tick()
                count += 1
            ctx.set(parser.queue.full, 0)
            ctx.set(parser.frame.good, good)
            ctx.set(parser.frame.bad, not good)
            put = ctx.get(parser.queue.put)
            assert put == ctx.get(parser.queue.token.end)
            assert put != ctx.get(parser.queue.drop)
            result = {}
            if ctx.get(parser.nak):
                result["nak"] = NakReason(ctx.get(parser.reason))
            if ctx.get(parser.credit_valid):
                result["credit"] = ctx.get(parser.credit)
            await ctx.tick()
            ctx.set(parser.frame.good, 0)
            ctx.set(parser.frame.bad, 0)
            assert ctx.get(parser.queue.commit) == put
            if put:
                result["queued"] = bytes(queued)
            if ctx.get(parser.reset):
                result["reset"] = True
            await ctx.tick()
            assert not ctx.get(parser.queue.commit) and not ctx.get(parser.reset)
            results.append(result)

    simulator = Simulator(parser)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return results


@pytest.mark.parametrize("kind", QUEUED)
def test_requests_of_whole_items_are_queued(kind):
    sizes = range(4 * ITEM_BYTES[kind] + 1)
    contents = [bytes([kind]) + bytes(range(1, size + 1)) for size in sizes]
    for content, result in zip(contents, parse([(c, 1) for c in contents]), strict=True):
        items, rest = divmod(len(content) - 1, ITEM_BYTES[kind])
        good = items > 0 and rest == 0
        assert result == ({"queued": content} if good else {"nak": NakReason.WRONG_SIZE})


def test_credit_and_reset_take_effect_at_once():
    frames = [bytes([Kind.CREDIT, 0x34, 0x12]), bytes([Kind.RESET]), bytes([Kind.CREDIT, 1, 0])]
    assert parse([(frame, 1) for frame in frames]) == [
        {"credit": 0x1234},
        {"reset": True},
        {"credit": 1},
    ]


def test_credit_and_reset_of_a_wrong_size_are_rejected():
    frames = [bytes([Kind.CREDIT, *range(size)]) for size in (0, 1, 3, 4)]
    frames += [bytes([Kind.RESET, *range(size)]) for size in (1, 2)]
    assert parse([(frame, 1) for frame in frames]) == [{"nak": NakReason.WRONG_SIZE}] * 6


def test_unknown_kinds_are_rejected():
    kinds = sorted({*range(256)} - {*ITEM_BYTES, Kind.RESET})
    results = parse([(bytes([kind, 0, 0]), 1) for kind in kinds])
    assert results == [{"nak": NakReason.UNKNOWN_KIND}] * len(kinds)


def test_a_bad_frame_has_no_effect_on_the_next_one():
    read = bytes([Kind.READ, 4])
    frames = [(bytes([Kind.POINTS, 1, 2, 3]), 0), (read, 1), (bytes([Kind.RESET]), 0), (read, 1)]
    rejected = {"nak": NakReason.CORRUPT}
    assert parse(frames) == [rejected, {"queued": read}, rejected, {"queued": read}]


@pytest.mark.parametrize("byte", range(4))
def test_a_request_that_lost_a_byte_is_rejected(byte):
    """Even if the queue has space again when the request ends."""
    read = bytes([Kind.READ, 4, 8, 12])
    found = parse([(read, 1), (read, 1)], full_at=byte)
    assert found == [{"nak": NakReason.NO_SPACE}, {"queued": read}]


def test_immediate_requests_need_no_space():
    assert parse([(bytes([Kind.CREDIT, 5, 0]), 1)], full_at=1) == [{"credit": 5}]
