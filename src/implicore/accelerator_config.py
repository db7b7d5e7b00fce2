"""Accelerator configurations, their presets, and the check that a program fits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from .arguments import require_integer
from .dataflow import (
    PE_LATENCY,
    column_tiles,
    decoder_latency,
    mapper_cycles,
    mapper_latency,
    neurons,
    release_delay,
    requantizer_latency,
    voxel_words,
    weight_words,
)
from .ecc import PROTECTIONS
from .errors import BadInput
from .formats import Formats
from .network_shape import (
    MAX_DEPTH,
    MAX_FREQUENCIES,
    MAX_OUTPUTS,
    MAX_WEIGHTS,
    MAX_WIDTH,
    NETWORKS,
    NetworkShape,
)
from .program import Program

MAX_SIDE = 256
"""Maximum number of rows, and of columns."""

MAX_WORD_BITS = 1024
"""Maximum width of a word of a weight bank."""

BEATS = (1, 2, 4, 8)
"""Voxels that a beat of the voxel stream can have."""


@dataclass(frozen=True)
class AcceleratorConfig:
    """The size of an accelerator. It can run any program that fits.

    Parameters
    ----------
    rows, columns : int
        Size of the array: voxels decoded together, neurons computed together. 1 to 256.
    formats : Formats
    frequencies : int
        Maximum number of frequencies L.
    width : int
        Maximum number of neurons of a hidden layer.
    depth : int
        Maximum number of layers.
    weight_depth : int
        Words in a weight bank, which is the number of weights per column.
    constant_depth : int
        Words in the constant memory, which is the number of neurons in all layers.
    lanes : int
        Lanes of the Fourier mapper, 1 to ``rows``.
    gate_zeros : bool
        Whether a PE holds its product and accumulator while the activation is zero.
    weight_word_bits : int
        Maximum width of a word of a weight bank without its check bits, at least one weight. The
        default is the width of IHP's widest SRAM macros, which take the least energy per bit.
    outputs : int
        Maximum number of outputs of a network: the voxels of a point.
    voxels_per_beat : int
        Voxels in a beat of the voxel stream: 1, 2, 4 or 8.
    protection : str
        Code of the memories that hold a program (``implicore.ecc``): ``none``; ``parity``, which
        detects single-bit errors; ``secded``, which corrects them and detects double-bit errors.
    """

    rows: int
    columns: int
    formats: Formats
    frequencies: int
    width: int
    depth: int
    weight_depth: int
    constant_depth: int
    lanes: int = 1
    gate_zeros: bool = False
    weight_word_bits: int = 64
    outputs: int = 1
    voxels_per_beat: int = 1
    protection: str = "none"

    def __post_init__(self) -> None:
        require_integer("Accelerator", "rows", self.rows, 1, MAX_SIDE)
        require_integer("Accelerator", "columns", self.columns, 1, MAX_SIDE)
        if not isinstance(self.formats, Formats):
            raise TypeError(f"Accelerator formats must be Formats, not {self.formats!r}.")
        require_integer("Accelerator", "frequencies", self.frequencies, 1, MAX_FREQUENCIES)
        require_integer("Accelerator", "width", self.width, 1, MAX_WIDTH)
        require_integer("Accelerator", "depth", self.depth, 1, MAX_DEPTH)
        require_integer("Accelerator", "weight_depth", self.weight_depth, 1, MAX_WEIGHTS)
        require_integer(
            "Accelerator", "constant_depth", self.constant_depth, 1, MAX_DEPTH * MAX_WIDTH
        )
        require_integer("Accelerator", "lanes", self.lanes, 1, self.rows)
        if not isinstance(self.gate_zeros, bool):
            raise TypeError(f"Accelerator gate_zeros must be a bool, not {self.gate_zeros!r}.")
        require_integer(
            "Accelerator",
            "weight_word_bits",
            self.weight_word_bits,
            self.formats.weight_bits,
            MAX_WORD_BITS,
        )
        require_integer("Accelerator", "outputs", self.outputs, 1, MAX_OUTPUTS)
        require_integer("Accelerator", "voxels_per_beat", self.voxels_per_beat, 1, BEATS[-1])
        if self.voxels_per_beat not in BEATS:
            raise ValueError(
                f"Accelerator voxels_per_beat must be one of {', '.join(map(str, BEATS))}, "
                f"not {self.voxels_per_beat}."
            )
        if self.protection not in PROTECTIONS:
            raise ValueError(
                f"Accelerator protection must be one of {', '.join(PROTECTIONS)}, "
                f"not {self.protection!r}."
            )

    @classmethod
    def sized(
        cls,
        rows: int,
        columns: int,
        formats: Formats,
        networks: Iterable[NetworkShape],
        *,
        gate_zeros: bool = False,
        weight_word_bits: int = 64,
        protection: str = "none",
    ) -> AcceleratorConfig:
        """Return the smallest accelerator with this array that runs the networks without stalls.

        The number of lanes is the smallest that computes the features of a voxel tile within the
        array's time for the tile, and within 1/256 of the array's time for a slice of 64 x 64
        voxels, because no other work hides the features of the first tile. A beat of the voxel
        stream has as few voxels as let a voxel tile leave within the array's time for the tile.

        Examples
        --------
        >>> from implicore import NETWORKS, AcceleratorConfig, Formats
        >>> config = AcceleratorConfig.sized(12, 5, Formats.parse("w8a12"), [NETWORKS["demo"]])
        >>> config.lanes, config.weight_depth, config.columns_per_bank
        (1, 12480, 5)
        """
        networks = list(networks)
        require_integer("Accelerator", "rows", rows, 1, MAX_SIDE)
        require_integer("Accelerator", "columns", columns, 1, MAX_SIDE)
        if not isinstance(formats, Formats):
            raise TypeError(f"Accelerator formats must be Formats, not {formats!r}.")
        if not networks:
            raise ValueError("Accelerator networks must have at least one network, not none.")

        def in_time(lanes: int) -> bool:
            return all(
                mapper_cycles(shape.frequencies, rows, lanes)
                + mapper_latency(formats, protection)
                + release_delay(formats, lanes)
                <= weight_words(shape, columns) * min(256, 64 * 64 // rows) // 256
                for shape in networks
            )

        def leaves_in_time(voxels_per_beat: int) -> bool:
            return all(
                rows * voxel_words(shape.outputs, voxels_per_beat) <= weight_words(shape, columns)
                for shape in networks
                if shape.outputs > 1  # a wider beat does not help single voxels
            )

        return cls(
            rows,
            columns,
            formats,
            frequencies=max(shape.frequencies for shape in networks),
            width=max(shape.width for shape in networks),
            depth=max(shape.depth for shape in networks),
            weight_depth=max(weight_words(shape, columns) for shape in networks),
            constant_depth=max(neurons(shape) for shape in networks),
            lanes=next((lanes for lanes in range(1, rows) if in_time(lanes)), rows),
            gate_zeros=gate_zeros,
            weight_word_bits=weight_word_bits,
            outputs=max(shape.outputs for shape in networks),
            voxels_per_beat=next(filter(leaves_in_time, BEATS), BEATS[-1]),
            protection=protection,
        )

    @property
    def columns_per_bank(self) -> int:
        """Number of neighbouring columns whose weights share a word.

        As many as fit in ``weight_word_bits``, or fewer, down to half as many, if that leaves
        less of the last bank unused.
        """
        limit = min(self.columns, self.weight_word_bits // self.formats.weight_bits)
        return min(
            range(limit, limit // 2, -1),
            key=lambda count: column_tiles(self.columns, count) * count,
        )

    @property
    def weight_banks(self) -> int:
        """Number of weight banks."""
        return column_tiles(self.columns, self.columns_per_bank)

    @property
    def abort_latency(self) -> int:
        """Cycles from an abort until the sequencer, the rows and the array have drained.

        In the worst case a column tile has just begun to drain: its accumulators, then the
        bypass sums, pass through the requantizers and move down the rows.
        """
        pipeline = PE_LATENCY + 2 * requantizer_latency(self.formats) + 8
        return self.columns + pipeline + decoder_latency(self.protection) + self.rows

    def to_dict(self) -> dict:
        """Return the fields as plain types for JSON, which ``from_dict`` reads back.

        Without protection there is no field for it, so the digests of such configurations are
        those of versions before there was any.
        """
        fields = asdict(self)
        if self.protection == "none":
            del fields["protection"]
        return fields

    @classmethod
    def from_dict(cls, fields: dict) -> AcceleratorConfig:
        """Make a configuration from what ``to_dict`` returned; ``formats`` may also be a name."""
        formats = fields["formats"]
        formats = Formats.parse(formats) if isinstance(formats, str) else Formats(**formats)
        return cls(**{**fields, "formats": formats})

    @property
    def digest(self) -> int:
        """The first 32 bits of the SHA-256 of ``to_dict``, which identify the configuration."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")

    def check_holds(self, shape: NetworkShape) -> None:
        """Check that the accelerator has room for a network.

        Raises
        ------
        BadInput
            The network is too large.
        """
        self._check(
            ("frequencies", shape.frequencies, self.frequencies),
            ("width", shape.width, self.width),
            ("depth", shape.depth, self.depth),
            ("outputs", shape.outputs, self.outputs),
            ("weights per column", weight_words(shape, self.columns), self.weight_depth),
            ("neurons", neurons(shape), self.constant_depth),
        )

    @staticmethod
    def _check(*sizes: tuple[str, int, int]) -> None:
        for name, size, limit in sizes:
            if size > limit:
                raise BadInput(
                    f"The program does not fit the accelerator: {name} is {size}, but the "
                    f"accelerator holds at most {limit}."
                )

    def check_fits(self, program: Program) -> None:
        """Check that the accelerator can run a program.

        Raises
        ------
        BadInput
            The network is too large or the formats differ.
        """
        formats, supported = program.formats, self.formats
        self.check_holds(program.shape)
        self._check(
            ("weight_bits", formats.weight_bits, supported.weight_bits),
            ("multiplier_bits", formats.multiplier_bits, supported.multiplier_bits),
            ("accumulator_bits", program.accumulator_bits, supported.accumulator_bits),
        )
        for field in ("activation_bits", "table_address_bits", "output_bits"):
            if getattr(formats, field) != getattr(supported, field):
                raise BadInput(
                    f"The program does not fit the accelerator: {field} is "
                    f"{getattr(formats, field)}, but the accelerator has "
                    f"{getattr(supported, field)}."
                )


def _preset(side: int, formats: str, *networks: str) -> AcceleratorConfig:
    return AcceleratorConfig.sized(
        side, side, Formats.parse(formats), [NETWORKS[name] for name in networks]
    )


ACCELERATORS = {
    "tiny": _preset(4, "w8a12", "demo", "fast"),
    "small": _preset(8, "w8a12", "demo", "fast", "quality"),
    "medium": _preset(16, "w8a12", "demo", "fast", "quality"),
    "large": _preset(32, "w8a12", "demo", "quality"),
    "patch": _preset(16, "w8a12", "patch"),
    "paper": _preset(64, "w12a16", "paper"),
}
"""Presets, each sized for the networks in its line."""
