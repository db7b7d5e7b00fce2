"""Number formats: the widths of a program's integers."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

from .arguments import require_integer


@dataclass(frozen=True)
class Formats:
    """Widths of a program's integers. ``docs/numerics.md`` defines them.

    Parameters
    ----------
    weight_bits : int
        Weights, signed, 4 to 16.
    activation_bits : int
        Features and hidden activations, unsigned, 4 to 16.
    accumulator_bits : int, optional
        Accumulators, signed, 8 to 44. The default is 8 more than a product.
    multiplier_bits : int, optional
        Mantissa of a requantizer's scale, unsigned, 0 to 15. With 0, every scale is a power of two
        and needs only a shift. The default is 4, or 0 where weights have at least 8 bits and
        activations at least 4 bits more: then a scale may be up to twice as coarse as needed.
    table_address_bits : int, optional
        Address width of the sine table, 6 to 14. The default is 10, or 12 for activations of more
        than 12 bits, whose lowest bits a coarser phase would invalidate.
    output_bits : int, optional
        Voxels, unsigned, 8 to 16. The default is 4 more than an activation.
    """

    weight_bits: int
    activation_bits: int
    # None is a value for the constructor only: __post_init__ replaces it.
    accumulator_bits: int = None  # type: ignore[assignment]
    multiplier_bits: int = None  # type: ignore[assignment]
    table_address_bits: int = None  # type: ignore[assignment]
    output_bits: int = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        require_integer("Formats", "weight_bits", self.weight_bits, 4, 16)
        require_integer("Formats", "activation_bits", self.activation_bits, 4, 16)
        if self.accumulator_bits is None:
            product = self.weight_bits + self.activation_bits
            object.__setattr__(self, "accumulator_bits", product + 8)
        require_integer("Formats", "accumulator_bits", self.accumulator_bits, 8, 44)
        if self.multiplier_bits is None:
            spare = self.activation_bits >= self.weight_bits + 4 >= 12
            object.__setattr__(self, "multiplier_bits", 0 if spare else 4)
        require_integer("Formats", "multiplier_bits", self.multiplier_bits, 0, 15)
        if self.table_address_bits is None:
            object.__setattr__(self, "table_address_bits", 10 if self.activation_bits <= 12 else 12)
        require_integer("Formats", "table_address_bits", self.table_address_bits, 6, 14)
        if self.output_bits is None:
            output_bits = min(max(self.activation_bits + 4, 8), 16)
            object.__setattr__(self, "output_bits", output_bits)
        require_integer("Formats", "output_bits", self.output_bits, 8, 16)

    @classmethod
    def parse(cls, text: str) -> Formats:
        """Parse a name such as ``w8a12``, ``w8a12m8`` or ``w8a12m0t8``.

        ``w`` stands for weight, ``a`` activation, ``m`` multiplier, ``t`` table address, ``c``
        accumulator and ``o`` output bits. The order is free; ``w`` and ``a`` are required.

        Raises
        ------
        ValueError
            The name does not have this form, or a width is out of range.

        Examples
        --------
        >>> from implicore import Formats
        >>> formats = Formats.parse("w8a12")
        >>> formats.accumulator_bits, formats.output_bits
        (28, 16)
        >>> str(Formats.parse("w8a12m8c28"))
        'w8a12m8'
        """
        letters = dict(zip("wacmto", (field.name for field in fields(cls)), strict=True))
        pairs = re.findall(r"([a-z])(\d+)", text)
        names = [letter for letter, _ in pairs]
        if (
            "".join(letter + digits for letter, digits in pairs) != text
            or len(set(names)) != len(names)
            or not set("wa") <= set(names) <= set(letters)
        ):
            raise ValueError(
                f"Formats must have the form w8a12 or w8a12m4t10 "
                f"({', '.join(f'{k} {v}' for k, v in letters.items())}), not {text!r}."
            )
        return cls(**{letters[letter]: int(digits) for letter, digits in pairs})

    def __str__(self) -> str:
        """Return the shortest name that ``parse`` reads as the same formats."""
        default = Formats(self.weight_bits, self.activation_bits)
        name = f"w{self.weight_bits}a{self.activation_bits}"
        for letter, field in zip("cmto", fields(self)[2:], strict=True):
            if getattr(self, field.name) != getattr(default, field.name):
                name += f"{letter}{getattr(self, field.name)}"
        return name

    @property
    def requantizer_bits(self) -> int:
        """Width of ``accumulator * multiplier``, signed."""
        return self.accumulator_bits + self.multiplier_bits

    @property
    def offset_bits(self) -> int:
        """Width of a requantizer's offset, signed, with its ``fixed.OFFSET_FRACTION`` bits."""
        return max(self.activation_bits, self.output_bits) + 8

    @property
    def weight_max(self) -> int:
        """The largest weight. The smallest is ``-weight_max - 1``."""
        return (1 << (self.weight_bits - 1)) - 1

    @property
    def activation_max(self) -> int:
        """The largest feature or hidden activation."""
        return (1 << self.activation_bits) - 1

    @property
    def output_max(self) -> int:
        """The largest voxel."""
        return (1 << self.output_bits) - 1
