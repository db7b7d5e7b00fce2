"""Make the bundled MRI from nilearn's copy of the MNI152 template.

The template (ICBM 152 nonlinear symmetric 2009a, T1, 1 mm, uint8, skull removed) takes about 1.6 MB
compressed. The package has room for 1 MB, so the volume is resampled to a coarser isotropic grid.
Each output voxel is a Gaussian-weighted mean around its centre, with a full width at half maximum
of one output voxel. This filter prevents aliasing and, unlike a sharper one, does not ring at the
edge of the brain.

1.25 mm would just fit (916 kB, 4.4 million voxels). The default is 2 mm (248 kB, 1.07 million
voxels) because every step of the demo should take only minutes, and the time of the slowest one,
simulating the hardware, grows with the number of voxels.

The same template and the same version of numpy give the same bytes.

    python -m pip install --no-deps nilearn
    python tools/make_bundled_mri.py

``--template`` names another copy of the template, such as one in an unpacked wheel.
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
    """Find the template in an installed nilearn without importing it."""
    spec = importlib.util.find_spec("nilearn")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("nilearn is not installed: name the template with --template.")
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
    """Stretch to the full scale of 0 to 255 and round; averages below one half become air."""
    low, high = voxels.min(), voxels.max()
    return np.floor((voxels - low) * (255.0 / (high - low)) + 0.5).astype(np.uint8)


def encode(voxels: np.ndarray, affine: np.ndarray) -> bytes:
    """Encode as gzipped NIfTI-1 without name or time, so the bytes depend only on the image."""
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
    """Make the file; return 2 if the template is missing, 1 if the result is too large."""
    parser = argparse.ArgumentParser(description="Make the bundled MRI.")
    parser.add_argument("--template", type=Path, help="the 1 mm template (default: nilearn's)")
    parser.add_argument("--voxel-mm", type=float, default=VOXEL_MM, help="default: %(default)s")
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
        print(f"The package has room for only {LIMIT_BYTES} bytes.", file=sys.stderr)
        return 1
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
