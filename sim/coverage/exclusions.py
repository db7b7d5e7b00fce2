"""What no session can cover, with the reasons. Everything else counts."""

from __future__ import annotations

import re
from typing import NamedTuple

from .measure import Place

COUNTED_BITS = 17
"""Bits of a counter that the sessions reach: the first part, and the carry into the second."""


class Exclusion(NamedTuple):
    """Places that do not count.

    Attributes
    ----------
    kinds : tuple of str
        The kinds of coverage.
    pattern : str
        Regular expression of the whole name of a bit or, for lines and branches, of the source.
    reason : str
    """

    kinds: tuple[str, ...]
    pattern: str
    reason: str

    def matches(self, place: Place) -> bool:
        """Return whether a place is excluded."""
        if place.kind not in self.kinds:
            return False
        # Verilator writes the dot of a field as `__02e` and appends the edge.
        bit = place.what.partition(":")[0].replace("__02e", ".")
        text = bit if place.kind == "toggle" else place.source
        return re.fullmatch(self.pattern, text) is not None


def _bits_from(first: int) -> str:
    """Return a regular expression of the index of a bit from ``first`` to 63."""
    return rf"\[({'|'.join(map(str, range(first, 64)))})\]"


_COUNTERS = r"(cycles|active_cycles|input_stall|output_stall|useful_macs|mac_slots)"

EXCLUSIONS = (
    Exclusion(
        ("line", "branch"),
        r"if \(trigger_\d+\) begin end",
        "a trigger of the simulation, which makes a block run once at the start",
    ),
    Exclusion(("toggle",), r"trigger_\d+", "the same trigger"),
    Exclusion(
        ("toggle",),
        r"words\[\d+\].*|storage\[\d+\].*",
        "the contents of a memory: its ports count, and its first and last words are functional "
        "points",
    ),
    Exclusion(
        ("toggle",),
        rf"(control_ro\.|ro\.)?{_COUNTERS}({_bits_from(COUNTED_BITS)}|_full_(16|32|48))",
        f"a counter from bit {COUNTED_BITS} up: it takes jobs of as many cycles; "
        "`tests/test_counters.py` holds the carries",
    ),
    Exclusion(
        ("toggle",),
        r"(control_)?ro\.(identity|version|configuration|array)\[\d+\]",
        "a register with a constant value",
    ),
    Exclusion(
        ("toggle",),
        r"(control_)?ro\.memory_(corrected|errors)\[\d+\]|memory_(corrected|errors)\[\d+\]",
        "a counter of memory errors: no session can flip a bit of a memory",
    ),
    Exclusion(
        ("toggle",),
        r"(control_)?ro\.error" + _bits_from(4),
        "the upper bits of the error register: errors take four bits",
    ),
    Exclusion(
        ("toggle",),
        r"(s_axi_|control_)?a[rw]prot\[\d\]",
        "the protection bits of AXI4-Lite, which the register port ignores",
    ),
    Exclusion(
        ("toggle",),
        r"s_axis_points_tdata" + _bits_from(48),
        "the upper bits of a point, which the hardware ignores",
    ),
)
"""All exclusions. A place that one of them matches counts neither as covered nor as a hole."""
