"""Scans to test with: small NIfTI files and DICOM series."""

import struct

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from nibabel.quaternions import quat2mat

from implicore.errors import BadInput
from implicore.model.volume import load_volume, save_volume

OBLIQUE = quat2mat([0.9, 0.2, -0.3, 0.1])
SHAPE = (6, 7, 5)


def affine(direction=OBLIQUE, size=(0.7, 0.9, 1.3), origin=(-11.5, 20.25, 7.1)):
    matrix = np.eye(4)
    matrix[:3, :3] = direction * np.array(size)
    matrix[:3, 3] = origin
    return matrix


def rounded(matrix):
    return np.float32(matrix).astype(np.float64)


def voxels(dtype=np.int16, low=-1024, high=3000, seed=0):
    return np.random.default_rng(seed).integers(low, high, SHAPE).astype(dtype)


def write_nifti(path, data, matrix=None, slope=None, intercept=None, kind=nib.Nifti1Image):
    image = kind(data, affine() if matrix is None else matrix, dtype=data.dtype)
    if slope is not None:
        image = kind(image.dataobj, image.affine, image.header)
        with open(path, "wb") as file:
            image.to_stream(file)
        # scl_slope and scl_inter of an uncompressed NIfTI-1 file
        patch(path, 112, "<ff", slope, intercept)
    else:
        nib.save(image, path)
    return path


def patch(path, offset, layout, *values):
    raw = bytearray(path.read_bytes())
    struct.pack_into(layout, raw, offset, *values)
    path.write_bytes(raw)
    return path


def write_dicom(folder, data, *, slope=1, intercept=0, position=None, series="1.2.3.4", **tags):
    """One file a slice; ``position`` maps the slice's number to its place in LPS mm."""
    folder.mkdir(exist_ok=True)
    lps = np.diag([-1, -1, 1, 1]) @ affine()
    position = position or (lambda k: lps[:3] @ [0, 0, k, 1])
    size = np.linalg.norm(lps[:3, :3], axis=0)
    for k in range(data.shape[2]):
        image = sitk.GetImageFromArray(np.ascontiguousarray(data[:, :, k].T)[None])
        image.SetSpacing(size)
        values = {
            "0008|0008": "ORIGINAL\\PRIMARY\\AXIAL",
            "0008|0018": f"{series}.{k + 1}",
            "0008|0060": "CT",
            "0020|000d": "1.2.3",
            "0020|000e": series,
            "0020|0013": str(k + 1),
            "0020|0032": "\\".join(f"{v:.12g}" for v in position(k)),
            "0020|0037": "\\".join(f"{v:.12g}" for v in (lps[:3, :2] / size[:2]).T.ravel()),
            "0028|1052": str(intercept),
            "0028|1053": str(slope),
        }
        if data.dtype.kind == "f":  # stored as int16
            values |= {"0028|0100": "16", "0028|0101": "16", "0028|0102": "15", "0028|0103": "1"}
        for key, value in (values | tags).items():
            image.SetMetaData(key, value)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        # Named so that the order of the names is not the order of the slices.
        writer.SetFileName(str(folder / f"{series}-{(k * 3) % 7}.dcm"))
        writer.Execute(image)
    return folder


def rejected(path):
    with pytest.raises(BadInput) as caught:
        load_volume(path)
    message = str(caught.value)
    assert message.endswith(".") and "\n" not in message and ". " not in message
    return message.replace(str(path), "IMAGE")


def saved(tmp_path, volume, *, exact=True, name="out.nii"):
    save_volume(tmp_path / name, volume.data, volume.grid, exact=exact)
    return nib.load(tmp_path / name)


def qform_only(path, quaternion=(0.3, -0.2, 0.1), qfac=-1.0):
    write_nifti(path, voxels())
    patch(path, 252, "<hh", 1, 0)
    patch(path, 256, "<6f", *quaternion, 1.1, -2.2, 3.3)
    return patch(path, 76, "<4f", qfac, 0.957, 0.957, 1.5)
