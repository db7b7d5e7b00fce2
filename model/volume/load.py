"""Loading of images in any supported format."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np

from implicore.errors import BadInput
from implicore.grid import Grid

from ..bundled import bundled_mri
from .dicom import read_dicom
from .image import Volume, check_usable, crop
from .nifti import ENDINGS, read_nifti


def load_volume(path: str | PathLike[str]) -> Volume:
    """Read a NIfTI file (.nii, .nii.gz) or a folder that holds one DICOM series.

    The file's scaling is applied to the intensities. If slope and intercept are whole numbers, they
    stay integers (in the stored type if it holds them, otherwise in int16, uint16 or int32).
    Otherwise they become float32, or float64 if the file stores more than 24 bits.

    A NIfTI affine is kept exactly. The affine of a DICOM series, whose numbers are decimals, is
    rounded to float32, the precision of NIfTI-1 (1e-5 mm in a scan of the body): otherwise no file
    that ITK can read could store it exactly.

    Raises
    ------
    BadInput
        If the image is missing, damaged, of an unsupported kind, or unusable: not three-
        dimensional, empty, constant, with voxels that are not finite, or without a valid geometry.
    """
    path = Path(path)
    if not path.exists():
        raise BadInput(f"{path} does not exist.")
    if path.is_dir():
        data, matrix = read_dicom(path)
    elif path.name.lower().endswith(ENDINGS):
        data, matrix = read_nifti(path)
    else:
        raise BadInput(
            f"{path} is neither a NIfTI file (.nii, .nii.gz) nor a folder with a DICOM series."
        )
    check_usable(data, str(path))
    columns = matrix[:3, :3]
    # The columns are normalized so that the determinant does not depend on the unit of length.
    lengths = np.linalg.norm(columns, axis=0)
    if not (np.isfinite(matrix).all() and lengths.all()) or (
        abs(np.linalg.det(columns / lengths)) < 1e-6
    ):
        raise BadInput(
            f"{path} has no valid geometry: its affine is singular or has numbers that are not "
            "finite."
        )
    return Volume(data, Grid.from_array(data.shape, matrix), path.resolve().name)


def load_source(source: dict, hint: str = "Name it with --image.") -> Volume:
    """Load an image named by the user or recorded in a model.

    Parameters
    ----------
    source : dict
        ``path``, absent for the bundled MRI; ``crop``, optional; ``sha256``, present in the
        record of a model.
    hint : str
        What to do if a model's image is not where it was.

    Raises
    ------
    BadInput
        As ``load_volume`` and ``crop`` do.
    """
    path = source.get("path")
    try:
        volume = load_volume(bundled_mri() if path is None else path)
    except BadInput as error:
        if "sha256" in source:
            raise BadInput(
                f"The image that the model was trained on cannot be used ({error}) {hint}"
            ) from None
        raise
    return crop(volume, source["crop"]) if source.get("crop") else volume
