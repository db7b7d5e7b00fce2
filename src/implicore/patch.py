"""Patches: the blocks of voxels that one point decodes to, and the lattice of their centres."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from .errors import BadInput
from .grid import Grid
from .network_shape import MAX_OUTPUTS

Patch = tuple[int, int, int]
"""Voxels of a patch along each index axis of the source image."""

POINT: Patch = (1, 1, 1)
"""The patch of a network that decodes one voxel per point."""


def checked_patch(patch: Iterable[int]) -> Patch:
    """Return a patch as a tuple of three ints.

    Raises
    ------
    BadInput
        It is not three whole numbers from 1, or their product exceeds ``MAX_OUTPUTS``.
    """
    edges = tuple(patch)
    whole = all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in edges)
    if len(edges) != 3 or not whole or prod(edges) > MAX_OUTPUTS:
        raise BadInput(
            f"A patch must be three whole numbers from 1 with a product of at most {MAX_OUTPUTS}, "
            f"not {edges!r}."
        )
    return edges


def check_patch_fits(patch: Patch, outputs: int, images: int) -> None:
    """Raise BadInput unless a network of ``outputs`` can decode ``images`` in this patch."""
    if prod(patch) != outputs:
        raise BadInput(
            f"A patch of {patch_name(patch)} voxels needs as many outputs, but the network has "
            f"{outputs}."
        )
    if patch != POINT and images > 1:
        raise BadInput(
            f"Patches of {patch_name(patch)} voxels tile one image, not {images}: fit several "
            "images with --patch 1x1x1."
        )


def parse_patch(text: str) -> Patch:
    """Parse a patch such as ``4x4x4``.

    Raises
    ------
    BadInput
        The text does not have this form, or the patch is too large.

    Examples
    --------
    >>> from implicore.patch import parse_patch
    >>> parse_patch("4x4x2")
    (4, 4, 2)
    """
    if not re.fullmatch(r"[0-9]{1,6}x[0-9]{1,6}x[0-9]{1,6}", text):
        raise BadInput(f"A patch must have the form 4x4x4, not {text!r}.")
    return checked_patch(int(edge) for edge in text.split("x"))


def patch_name(patch: Patch) -> str:
    """Return the text that ``parse_patch`` reads as this patch."""
    return "x".join(map(str, patch))


@dataclass(frozen=True)
class Lattice:
    """The patches that tile a source grid, numbered with the first index axis fastest.

    The first patch starts at the first voxel. Where the shape of the source is no multiple of the
    patch, the last patches reach beyond it: their voxels there are decoded and dropped.

    Parameters
    ----------
    source : Grid
        The voxels of the image.
    patch : tuple of 3 ints

    Examples
    --------
    >>> import numpy as np
    >>> from implicore import Grid
    >>> from implicore.patch import Lattice
    >>> lattice = Lattice(Grid.from_array((10, 8, 4), np.eye(4)), (4, 4, 4))
    >>> lattice.shape, lattice.grid.affine[0]
    ((3, 2, 1), (4.0, 0.0, 0.0, 1.5))
    """

    source: Grid
    patch: Patch

    def __post_init__(self) -> None:
        object.__setattr__(self, "patch", checked_patch(self.patch))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Patches along each index axis."""
        x, y, z = (-(-n // edge) for n, edge in zip(self.source.shape, self.patch, strict=True))
        return x, y, z

    @cached_property
    def grid(self) -> Grid:
        """The grid of the patch centres. For patches of one voxel it is the source grid."""
        if self.patch == POINT:
            return self.source
        edges = np.array(self.patch)
        matrix = self.source.matrix.copy()
        matrix[:3, :3] *= edges
        # The order of the sum is part of docs/numerics.md: it decides the last bit.
        shift = self.source.matrix[:3, :3] * ((edges - 1) / 2)
        matrix[:3, 3] = ((shift[:, 0] + shift[:, 1]) + shift[:, 2]) + self.source.matrix[:3, 3]
        return Grid.from_array(self.shape, matrix)

    @property
    def padded(self) -> Grid:
        """The grid of all voxels of all patches, including those beyond the source."""
        shape = (n * edge for n, edge in zip(self.shape, self.patch, strict=True))
        return Grid.from_array(shape, self.source.matrix)

    @property
    def inside(self) -> np.ndarray:
        """Whether each voxel of each patch belongs to the source, shape as ``split`` returns."""
        inside = np.zeros(self.padded.shape, bool)
        inside[tuple(slice(n) for n in self.source.shape)] = True
        return Lattice(self.padded, self.patch).split(inside)

    def window(self, first: int, shape: tuple[int, int, int]) -> tuple[slice, slice, slice]:
        """Return the source's voxels in a box of ``shape`` patches that begins at patch ``first``.

        The part of the box beyond the source is cut off.
        """
        corner = np.unravel_index(first, self.shape, order="F")
        x, y, z = (
            slice(int(i) * edge, min((int(i) + n) * edge, end))
            for i, n, edge, end in zip(corner, shape, self.patch, self.source.shape, strict=True)
        )
        return x, y, z

    def split(self, volume: np.ndarray) -> np.ndarray:
        """Return the voxels of each patch, shape (patches, voxels of a patch).

        Parameters
        ----------
        volume : array of the source's shape
            Its edge voxels are repeated beyond the edges.
        """
        padding = [(0, n - m) for n, m in zip(self.padded.shape, volume.shape, strict=True)]
        blocks = np.pad(volume, padding, mode="edge").reshape(
            [n for pair in zip(self.patch, self.shape, strict=True) for n in pair], order="F"
        )
        return blocks.transpose(0, 2, 4, 1, 3, 5).reshape(prod(self.patch), -1, order="F").T

    def join(self, voxels: np.ndarray) -> np.ndarray:
        """Return the source's voxels, an array of its shape, from the voxels of all patches.

        Parameters
        ----------
        voxels : array with ``prod(shape) * prod(patch)`` elements
            Patch after patch; within a patch, the first index axis fastest.
        """
        x, y, z = self.source.shape
        return join_patches(voxels, self.patch, self.shape)[:x, :y, :z]


def join_patches(voxels: np.ndarray, patch: Patch, shape: tuple[int, int, int]) -> np.ndarray:
    """Return the voxels of a box of ``shape`` patches, in which they are numbered as in a lattice.

    Parameters
    ----------
    voxels : array with ``prod(shape) * prod(patch)`` elements
        Patch after patch; within a patch, the first index axis fastest.
    patch, shape : tuples of 3 ints

    Returns
    -------
    array of shape ``patch * shape``
    """
    blocks = voxels.reshape(*patch, *shape, order="F").transpose(0, 3, 1, 4, 2, 5)
    return blocks.reshape([n * edge for n, edge in zip(shape, patch, strict=True)], order="F")
