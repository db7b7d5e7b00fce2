"""Real images from Debian and Ubuntu packages, for tests and benchmarks."""

from __future__ import annotations

import gzip
import plistlib
import tarfile
from pathlib import Path, PurePosixPath

import numpy as np

from implicore.errors import BadInput
from implicore.grid import Grid
from implicore.model.volume import Volume, crop, load_volume

CH2 = Path("/usr/share/mricron/templates/ch2.nii.gz")
CRANIUM = Path("/usr/share/doc/invesalius-examples/examples/Cranium.inv3")


def ch2() -> Volume:
    """Load a T1 MRI of a head, (181, 217, 181) voxels of 1 mm, uint8."""
    _need(CH2, "mricron-data")
    return load_volume(CH2)


def ch2_crop() -> Volume:
    """Load the 64^3 voxels in the centre of ``ch2``."""
    volume = ch2()
    first = [(n - 64) // 2 for n in volume.grid.shape]
    return crop(volume, ",".join(f"{low}:{low + 64}" for low in first))


def cranium() -> Volume:
    """Load a CT of a head, (256, 256, 108) voxels of 0.957 x 0.957 x 1.5 mm, int16 in HU.

    The file is an InVesalius project: a gzipped tar of property lists and raw voxels, slice by
    slice. It records neither origin nor direction. InVesalius flips the rows of DICOM, so the voxel
    axes are left, anterior, superior. The origin is set to the centre.
    """
    _need(CRANIUM, "invesalius-examples")
    with gzip.open(CRANIUM) as file, tarfile.open(fileobj=file) as archive:
        members = {PurePosixPath(m.name).name: m for m in archive.getmembers()}
        project = plistlib.loads(archive.extractfile(members["main.plist"]).read())
        matrix = project["matrix"]
        raw = archive.extractfile(members[matrix["filename"]]).read()
    data = np.frombuffer(raw, np.dtype(matrix["dtype"]).newbyteorder("<")).reshape(matrix["shape"])
    data = data.transpose(2, 1, 0).astype(np.int16, order="C")
    affine = np.diag([*project["spacing"], 1.0]) * [[-1], [1], [1], [1]]
    affine[:3, 3] = -affine[:3, :3] @ (np.array(data.shape) - 1) / 2
    # Rounded like the affine of a scan that load_volume reads.
    affine = affine.astype(np.float32).astype(np.float64)
    return Volume(data, Grid.from_array(data.shape, affine), CRANIUM.name)


def _need(path: Path, package: str) -> None:
    if not path.exists():
        raise BadInput(f"{path} is missing: install it with apt-get install {package}.")
