from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import scans

from implicore.errors import BadInput
from implicore.model.volume import load_volume

_DATASETS = spec_from_file_location("datasets", Path(__file__).parents[1] / "bench" / "datasets.py")
datasets = module_from_spec(_DATASETS)
_DATASETS.loader.exec_module(datasets)


def installed(load):
    try:
        return load()
    except BadInput as error:
        pytest.skip(str(error))


def test_ch2():
    volume = installed(datasets.ch2_crop)
    assert (volume.grid.shape, volume.dtype) == ((64, 64, 64), np.uint8)
    assert volume.grid.affine == (
        *((1.0, 0.0, 0.0, -32.0), (0.0, 1.0, 0.0, -49.0), (0.0, 0.0, 1.0, -13.0)),
        (0.0, 0.0, 0.0, 1.0),
    )


def test_cranium_is_in_hounsfield_units(tmp_path):
    volume = installed(datasets.cranium)
    assert (volume.grid.shape, volume.dtype) == ((256, 256, 108), np.int16)
    assert volume.intensity_range == (-1024.0, 2986.0)
    image = scans.saved(tmp_path, volume, name="ct.nii.gz")
    again = load_volume(tmp_path / "ct.nii.gz")
    assert np.array_equal(again.data, volume.data)
    assert again.grid == volume.grid
    assert type(image) is nib.Nifti1Image


def test_missing_dataset_names_its_package(monkeypatch):
    monkeypatch.setattr(datasets, "CRANIUM", Path("/nowhere/Cranium.inv3"))
    with pytest.raises(
        BadInput,
        match=r"^/nowhere/Cranium\.inv3 is missing: "
        r"install it with apt-get install invesalius-examples\.$",
    ):
        datasets.cranium()
