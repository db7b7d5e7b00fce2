"""Make the MRI that ships inside the package from nilearn's copy of the MNI152 template.

The template (ICBM 152 nonlinear symmetric 2009a, T1, 1 mm, uint8, skull already
removed) is about 1.6 MB compressed. The package has room for 1 MB, so the volume is
resampled to a coarser isotropic grid: each output voxel is a Gaussian-weighted mean
around its centre, the full width at half maximum being one output voxel. That is what
keeps detail finer than the new grid from folding back into it, and, unlike a sharper
filter, it rings nowhere along the edge of the brain.

1.25 mm would just fit (916 kB, 4.4 million voxels). The default is 2 mm (248 kB, 1.07
million voxels): the volume exists to try every step in minutes, and the slowest step,
simulating the hardware, pays for each voxel.

Running it again on the same template with the same numpy gives the same bytes.

    python -m pip install --no-deps nilearn
    python tools/make_bundled_mri.py

``--template`` takes the template from anywhere else, such as an unpacked wheel.
"""

import argparse
import gzip
import importlib.util
import io
import sys
from pathlib import Path

import nibabel
import numpy as np

TEMPLATE = "datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
OUTPUT = Path(__file__).resolve().parent.parent / "model" / "data" / "mni152_t1.nii.gz"
LIMIT_BYTES = 1_000_000
VOXEL_MM = 2.0
MNI_152 = 4  # NIfTI's code for a coordinate system aligned with that atlas


def find_template() -> Path:
    """Path of the template inside an installed nilearn, which is not imported for it."""
    spec = importlib.util.find_spec("nilearn")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("nilearn is not installed; give the template with --template")
    return Path(spec.submodule_search_locations[0]) / TEMPLATE


def averaging_matrix(size: int, step: float) -> tuple[np.ndarray, float]:
    """Resample one axis onto the centred grid of spacing `step`.

    Parameters
    ----------
    size : int
        Number of source samples, one unit apart.
    step : float
        Spacing of the new samples, in source samples.

    Returns
    -------
    matrix : numpy.ndarray
        Shape (int(size / step), size); each row sums to one.
    first : float
        Position of the first new sample, in source samples.
    """
    count = int(size / step)
    first = (size - 1 - (count - 1) * step) / 2
    centres = first + step * np.arange(count)
    deviation = step / np.sqrt(8 * np.log(2))  # full width at half maximum -> sigma
    weights = np.exp(-0.5 * ((np.arange(size) - centres[:, None]) / deviation) ** 2)
    return weights / weights.sum(axis=1, keepdims=True), first


def resample(voxels: np.ndarray, affine: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Resample a volume to a coarser grid with the same centre.

    Parameters
    ----------
    voxels : numpy.ndarray
        Shape (X, Y, Z).
    affine : numpy.ndarray
        Shape (4, 4), voxel index to mm.
    step : float
        New voxel size, in source voxels.

    Returns
    -------
    voxels, affine : numpy.ndarray
        The new volume as float64, and its affine.
    """
    result = voxels.astype(np.float64)
    to_source = np.diag([step, step, step, 1.0])
    for axis, size in enumerate(voxels.shape):
        matrix, to_source[axis, 3] = averaging_matrix(size, step)
        result = np.moveaxis(np.tensordot(matrix, result, (1, axis)), 0, axis)
    return result, affine @ to_source


def to_uint8(voxels: np.ndarray) -> np.ndarray:
    """Stretch to the whole 0 .. 255 and round; what the average left below one half is air."""
    low, high = voxels.min(), voxels.max()
    return np.floor((voxels - low) * (255.0 / (high - low)) + 0.5).astype(np.uint8)


def encode(voxels: np.ndarray, affine: np.ndarray) -> bytes:
    """NIfTI-1 file, gzipped without name or time so that the bytes depend on the image only."""
    image = nibabel.Nifti1Image(voxels, affine)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = b"ICBM 152 2009a nonlinear symmetric T1, resampled"
    image.set_sform(affine, MNI_152)
    image.set_qform(affine, MNI_152)
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, compresslevel=9, mtime=0) as file:
        file.write(image.to_bytes())
    return packed.getvalue()


def main(argv: list[str] | None = None) -> int:
    """Read the template, write the volume; 2 when the template is missing, 1 when too large."""
    parser = argparse.ArgumentParser(description="Make the MRI that ships inside the package.")
    parser.add_argument("--template", type=Path, help="the 1 mm template (else nilearn's)")
    parser.add_argument("--voxel-mm", type=float, default=VOXEL_MM, help="(%(default)s)")
    parser.add_argument("-o", "--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args(argv)
    try:
        image = nibabel.load(arguments.template or find_template())
    except (OSError, nibabel.filebasedimages.ImageFileError) as error:
        print(error, file=sys.stderr)
        return 2
    step = arguments.voxel_mm / float(image.header.get_zooms()[0])
    voxels, affine = resample(np.asanyarray(image.dataobj), image.affine, step)
    content = encode(to_uint8(voxels), affine)
    print(f"{voxels.shape} voxels of {arguments.voxel_mm} mm: {len(content)} bytes")
    if len(content) > LIMIT_BYTES:
        print(f"The package has room for {LIMIT_BYTES} bytes only", file=sys.stderr)
        return 1
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
