"""The Boolean functions of a Liberty file: what cells compute, and when a figure holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product

from implicore.errors import BadInput


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
        """Its value while the pins are at these levels."""
        return bool(_value(self.tree, levels))

    def probability(self, highs: Mapping[str, float]) -> float:
        """How often it is true if pins are high so often, and independent of each other."""
        total = 0.0
        for levels in product((False, True), repeat=len(self.pins)):
            if self.at(dict(zip(self.pins, levels, strict=True))):
                weight = 1.0
                for pin, level in zip(self.pins, levels, strict=True):
                    weight = weight * (highs[pin] if level else 1 - highs[pin])
                total = total + weight
        return total

    def cpp(self) -> str:
        """A C++ expression over ``x(0)``, ``x(1)``...: bits of words, pins in order."""
        return _cpp(self.tree, {pin: f"x({number})" for number, pin in enumerate(self.pins)})


@cache
def parse(text: str) -> Function:
    """Read an expression: ``!`` or a trailing ``'``, ``^``, then ``*``, ``&`` or a space, ``+``.

    Raises BadInput for anything else.
    """
    tokens = re.findall(r"\w+|[!'^*&+|()]", text)
    if "".join(tokens) != re.sub(r"\s", "", text) or not tokens:
        raise BadInput(f"This is no Boolean function of a Liberty file: {text!r}.")
    tree, rest = _any_of(tokens, text)
    if rest:
        raise BadInput(f"This is no Boolean function of a Liberty file: {text!r}.")
    return Function(tree)


def _any_of(tokens, text):
    tree, tokens = _all_of(tokens, text)
    while tokens and tokens[0] in "+|":
        right, tokens = _all_of(tokens[1:], text)
        tree = ("or", tree, right)
    return tree, tokens


def _all_of(tokens, text):
    tree, tokens = _either(tokens, text)
    while tokens and tokens[0] not in "+|)":
        right, tokens = _either(tokens[1:] if tokens[0] in "*&" else tokens, text)
        tree = ("and", tree, right)
    return tree, tokens


def _either(tokens, text):
    tree, tokens = _factor(tokens, text)
    while tokens and tokens[0] == "^":
        right, tokens = _factor(tokens[1:], text)
        tree = ("xor", tree, right)
    return tree, tokens


def _factor(tokens, text):
    if not tokens or tokens[0] in "'^*&+|)":
        raise BadInput(f"This is no Boolean function of a Liberty file: {text!r}.")
    first, tokens = tokens[0], tokens[1:]
    if first == "!":
        inner, tokens = _factor(tokens, text)
        return ("not", inner), tokens
    if first == "(":
        tree, tokens = _any_of(tokens, text)
        if not tokens:
            raise BadInput(f"This is no Boolean function of a Liberty file: {text!r}.")
        tokens = tokens[1:]
    else:
        tree = ("constant", int(first)) if first in "01" else ("pin", first)
    while tokens and tokens[0] == "'":
        tree, tokens = ("not", tree), tokens[1:]
    return tree, tokens


def _pins(tree):
    if tree[0] == "pin":
        return [tree[1]]
    return [] if tree[0] == "constant" else [pin for part in tree[1:] for pin in _pins(part)]


def _value(tree, levels):
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


def _cpp(tree, names):
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
