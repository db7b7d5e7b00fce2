"""Codes of protected memories: one definition of the check bits for hardware and tests.

A codeword is a word with its check bits above it. ``parity`` adds one bit, which makes the number
of ones even. ``secded`` is a code of Hsiao (IBM J. Res. Dev. 14, 1970): the columns of its
parity-check matrix have an odd number of ones and differ, those of the check bits have a single
one. A single-bit error therefore gives the column of its bit as the syndrome, and a double-bit
error one with an even number of ones. The columns with the fewest ones are used, and those that
keep the rows balanced: that bounds the depth of the logic.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import NamedTuple

PROTECTIONS = ("none", "parity", "secded")
"""Codes of the memories that hold a program."""


class Word(NamedTuple):
    """A decoded word: whether a bit of its codeword was corrected, or it has another error."""

    word: int
    corrected: bool = False
    error: bool = False


@dataclass(frozen=True)
class Code:
    """The code of a word.

    Parameters
    ----------
    protection : str
        One of ``PROTECTIONS``.
    bits : int
        Width of the word.

    Examples
    --------
    >>> code = Code("secded", 64)
    >>> code.width
    72
    >>> code.decode(code.encode(5) ^ 1 << 70)
    Word(word=5, corrected=True, error=False)
    >>> code.decode(code.encode(5) ^ 0b11).error
    True
    """

    protection: str
    bits: int

    @property
    def check_bits(self) -> int:
        """Number of check bits."""
        if self.protection != "secded":
            return int(self.protection == "parity")
        count = 2
        while (1 << (count - 1)) < self.bits + count:  # columns with an odd number of ones
            count += 1
        return count

    @property
    def width(self) -> int:
        """Width of a codeword."""
        return self.bits + self.check_bits

    @cached_property
    def columns(self) -> tuple[int, ...]:
        """The columns of the parity-check matrix, those of the word's bits first.

        Bit n of a column is its entry in row n.
        """
        count = self.check_bits
        if self.protection != "secded":
            return (count,) * self.width
        data: list[int] = []
        ones = 3
        while len(data) < self.bits:
            candidates = [
                sum(1 << row for row in rows) for rows in combinations(range(count), ones)
            ]
            data += _balanced(candidates, self.bits - len(data), data, count)
            ones += 2
        return (*data, *(1 << row for row in range(count)))

    @cached_property
    def rows(self) -> tuple[int, ...]:
        """The rows of the matrix: the bits of a codeword whose parity is even."""
        return tuple(
            sum((column >> row & 1) << bit for bit, column in enumerate(self.columns))
            for row in range(self.check_bits)
        )

    def encode(self, word: int) -> int:
        """Return the codeword of a word."""
        return word | self._syndrome(word) << self.bits

    def decode(self, codeword: int) -> Word:
        """Return the word of a codeword in which bits may have changed."""
        syndrome, word = self._syndrome(codeword), codeword & ((1 << self.bits) - 1)
        if not syndrome:
            return Word(word)
        if self.protection == "parity" or syndrome not in self.columns:
            return Word(word, error=True)
        changed = 1 << self.columns.index(syndrome)
        return Word(word ^ changed & ((1 << self.bits) - 1), corrected=True)

    def _syndrome(self, codeword: int) -> int:
        return sum(((codeword & row).bit_count() & 1) << n for n, row in enumerate(self.rows))


def _balanced(candidates: list[int], number: int, chosen: list[int], count: int) -> list[int]:
    """Return ``number`` of the candidates, or all, such that the rows have as many ones each."""
    weights = [sum(column >> row & 1 for column in chosen) for row in range(count)]
    left = list(candidates)
    found: list[int] = []
    while left and len(found) < number:
        best = min(
            left, key=lambda column: sum(weights[row] for row in range(count) if column >> row & 1)
        )
        left.remove(best)
        found.append(best)
        weights = [weight + (best >> row & 1) for row, weight in enumerate(weights)]
    return found
