"""Boolean functions of a Liberty file: the outputs of cells, and the conditions of tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product

from implicore.errors import BadInput

GRAMMAR = r"""
?or: and | or ("+" | "|") and
?and: xor | and ("*" | "&")? xor
?xor: inverse | xor "^" inverse
?inverse: operand | "!" inverse -> not | inverse "'" -> not
?operand: NAME -> pin | CONSTANT -> constant | "(" or ")"

NAME: /[A-Za-z_]\w*(\[\d+\])?/
CONSTANT: /[01](?!\w)/
%ignore /\s+/
"""
"""Operators from the weakest to the strongest; a space between two operands is an AND."""


@dataclass(frozen=True)
class Function:
    """A Boolean expression over pins.

    Parameters
    ----------
    tree : tuple
        ``("pin", name)``, ``("constant", 0 or 1)``, ``("not", tree)``, or ``and``, ``or``, ``xor``
        of two trees.
    """

    tree: tuple

    @cached_property
    def pins(self) -> tuple[str, ...]:
        """Pins in the order of their first appearance."""
        return tuple(dict.fromkeys(_pins(self.tree)))

    def at(self, levels: Mapping[str, bool]) -> bool:
        """Return the value at these levels of the pins."""
        return bool(_value(self.tree, levels))

    def probability(self, highs: Mapping[str, float]) -> float:
        """Return the probability that the value is true.

        Parameters
        ----------
        highs : mapping of str to float or ndarray
            Probability of a high level of each pin. Pins are assumed independent.
        """
        total = 0.0
        for levels in product((False, True), repeat=len(self.pins)):
            if self.at(dict(zip(self.pins, levels, strict=True))):
                weight = 1.0
                for pin, level in zip(self.pins, levels, strict=True):
                    weight = weight * (highs[pin] if level else 1 - highs[pin])
                total = total + weight
        return total

    def cpp(self) -> str:
        """Return a C++ expression over ``x(0)``, ``x(1)``...: words of bit lanes, in pin order."""
        return _cpp(self.tree, {pin: f"x({number})" for number, pin in enumerate(self.pins)})


@cache
def parse(text: str) -> Function:
    """Parse an expression of ``!`` ``'`` ``^`` ``&`` ``*`` ``+`` ``|`` parentheses, ``0``, ``1``.

    Raises BadInput for anything else.
    """
    from lark import LarkError

    try:
        return Function(_parser().parse(text))
    except LarkError:
        raise BadInput(f"{text!r} is not a Boolean function of a Liberty file.") from None


@cache
def _parser():
    """Return the parser, built once. Only this function imports lark: the rest works without."""
    from lark import Lark, Transformer

    class Build(Transformer):
        NAME, CONSTANT = str, int

        def __default__(self, rule, operands, _):
            return str(rule), *operands

    return Lark(GRAMMAR, start="or", parser="lalr", transformer=Build())


def _pins(tree) -> list[str]:
    if tree[0] == "pin":
        return [tree[1]]
    return [] if tree[0] == "constant" else [pin for part in tree[1:] for pin in _pins(part)]


def _value(tree, levels) -> bool:
    match tree:
        case "pin", name:
            return bool(levels[name])
        case "constant", value:
            return bool(value)
        case "not", inner:
            return not _value(inner, levels)
        case "and", left, right:
            return _value(left, levels) and _value(right, levels)
        case "or", left, right:
            return _value(left, levels) or _value(right, levels)
        case _, left, right:
            return _value(left, levels) != _value(right, levels)


def _cpp(tree, names) -> str:
    match tree:
        case "pin", name:
            return names[name]
        case "constant", value:
            return "~uint64_t(0)" if value else "uint64_t(0)"
        case "not", inner:
            return f"~{_cpp(inner, names)}"
        case kind, left, right:
            sign = {"and": "&", "or": "|", "xor": "^"}[kind]
            return f"({_cpp(left, names)} {sign} {_cpp(right, names)})"
