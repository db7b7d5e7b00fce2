"""Checks of constructor arguments."""

from __future__ import annotations


def require_integer(owner: str, name: str, value: object, low: int, high: int) -> None:
    """Check that ``value`` is an ``int`` from ``low`` to ``high``, both included.

    Raises
    ------
    TypeError
        ``value`` is not an integer.
    ValueError
        ``value`` is out of range.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{owner} {name} must be an integer, not {value!r}.")
    if not low <= value <= high:
        raise ValueError(f"{owner} {name} must be an integer from {low} to {high}, not {value}.")
