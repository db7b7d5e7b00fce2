"""Shapes of networks, their limits, and the presets."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from math import prod
from typing import NamedTuple

from .arguments import require_integer

MAX_FREQUENCIES = 1024
MAX_WIDTH = 2048
MAX_DEPTH = 64
MAX_OUTPUTS = 2048
"""Maximum number of outputs, the voxels of a patch; no more than neurons of a hidden layer."""
MAX_WEIGHTS = 1 << 23
"""Maximum number of weights, 8 times the published network's; it limits what a file can claim."""


class LayerShape(NamedTuple):
    """One fully connected layer: its ``features`` inputs come before its ``hidden`` ones."""

    features: int
    hidden: int
    outputs: int

    @property
    def inputs(self) -> int:
        """Inputs of each neuron."""
        return self.features + self.hidden


@dataclass(frozen=True)
class NetworkShape:
    """The shape of an implicit neural representation (Rao et al., TCAS-I 2023, Algorithm 1).

    Parameters
    ----------
    frequencies : int
        L, the rows of the matrix B. The network has 2 L features.
    width : int
        Neurons of each hidden layer.
    depth : int
        Fully connected layers, including the linear output layer. Depth 1 has no hidden layer.
    skips : tuple of ints
        Layers, counted from 1, that have features as well as hidden activations as inputs. Layer
        1 always has features and must not be named.
    outputs : int
        Neurons of the output layer: the voxels that one point decodes to.

    Examples
    --------
    >>> from implicore import NetworkShape
    >>> shape = NetworkShape(frequencies=128, width=256, depth=15, skips=(6, 11))
    >>> shape.weights
    1048832
    >>> shape.layers[5]
    LayerShape(features=256, hidden=256, outputs=256)
    """

    frequencies: int
    width: int
    depth: int
    skips: tuple[int, ...] = ()
    outputs: int = 1

    def __post_init__(self) -> None:
        require_integer("Network", "frequencies", self.frequencies, 1, MAX_FREQUENCIES)
        require_integer("Network", "width", self.width, 1, MAX_WIDTH)
        require_integer("Network", "depth", self.depth, 1, MAX_DEPTH)
        require_integer("Network", "outputs", self.outputs, 1, MAX_OUTPUTS)
        if not isinstance(self.skips, tuple):
            raise TypeError(f"Network skips must be a tuple of integers, not {self.skips!r}.")
        for skip in self.skips:
            if isinstance(skip, bool) or not isinstance(skip, int):
                raise TypeError(f"Network skips must be a tuple of integers, not {self.skips!r}.")
            if not 2 <= skip <= self.depth:
                raise ValueError(
                    f"Network skips must name layers from 2 to the depth of {self.depth}, "
                    f"not {skip}."
                )
        if list(self.skips) != sorted(set(self.skips)):
            raise ValueError(f"Network skips must be in increasing order, not {self.skips}.")
        if self.weights > MAX_WEIGHTS:
            raise ValueError(
                f"A network must have at most {MAX_WEIGHTS} weights, not {self.weights}."
            )

    @property
    def features(self) -> int:
        """Length of the feature vector: L cosines, then L sines."""
        return 2 * self.frequencies

    @cached_property
    def layers(self) -> tuple[LayerShape, ...]:
        """The layers in order."""
        return tuple(
            LayerShape(
                features=self.features if number == 1 or number in self.skips else 0,
                hidden=0 if number == 1 else self.width,
                outputs=self.outputs if number == self.depth else self.width,
            )
            for number in range(1, self.depth + 1)
        )

    @property
    def weights(self) -> int:
        """Weights of all layers: the multiply-accumulates of one point."""
        return sum(layer.inputs * layer.outputs for layer in self.layers)

    @property
    def parameters(self) -> int:
        """Trained parameters: weights and biases. B is drawn, not trained."""
        return self.weights + sum(layer.outputs for layer in self.layers)

    @property
    def macs_per_voxel(self) -> float:
        """Multiply-accumulates of one voxel."""
        return self.weights / self.outputs

    def to_dict(self) -> dict:
        """Return the fields as plain types for JSON.

        A network of one output has no key ``outputs``: its files and digests are those of releases
        that knew no other.
        """
        fields = asdict(self)
        if self.outputs == 1:
            del fields["outputs"]
        return fields

    @classmethod
    def from_dict(cls, fields: dict) -> NetworkShape:
        """Make a shape from what ``to_dict`` returned, or from its JSON."""
        return cls(**{**fields, "skips": tuple(fields["skips"])})


PRESET_PATCHES = {"patch": (4, 4, 4), "patch-large": (4, 4, 4)}
"""Patches of the network presets that decode more than one voxel per point."""

NETWORKS = {
    "demo": NetworkShape(frequencies=64, width=64, depth=15),
    "fast": NetworkShape(frequencies=64, width=64, depth=5),
    "quality": NetworkShape(frequencies=128, width=128, depth=15),
    "paper": NetworkShape(frequencies=128, width=256, depth=15, skips=(6, 11)),
    "patch": NetworkShape(
        frequencies=64, width=112, depth=8, outputs=prod(PRESET_PATCHES["patch"])
    ),
    "patch-large": NetworkShape(
        frequencies=128, width=128, depth=15, outputs=prod(PRESET_PATCHES["patch-large"])
    ),
}
"""Network presets. ``paper`` is the published one; ``demo`` and ``quality`` have its depth.
``patch`` is for a small volume, ``patch-large`` for a whole head."""
