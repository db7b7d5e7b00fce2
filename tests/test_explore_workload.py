import json

import nibabel as nib
import numpy as np
import pytest

from implicore.cli import main
from implicore.formats import Formats
from implicore.model.volume import load_volume
from implicore.network_shape import NETWORKS
from implicore.random_program import random_program
from implicore.synth.explore.points import Source
from implicore.synth.explore.workload import prepare


def test_quality_of_a_program_equals_that_of_its_rendering(tmp_path):
    program = random_program(NETWORKS["fast"], Formats(8, 8), seed=3)
    grid = program.grid
    rng = np.random.default_rng(0)
    image = nib.Nifti1Image(rng.integers(-100, 300, grid.shape).astype(np.int16), grid.matrix)
    nib.save(image, tmp_path / "a.nii")
    program.save(tmp_path / "a.inr")
    source = Source("program", "a.inr", program.shape, program, "digest")
    work = prepare(source, None, [load_volume(tmp_path / "a.nii")])
    words = ["render", str(tmp_path / "a.inr"), "-o", str(tmp_path / "r.nii"), "--quiet"]
    words += ["--image", str(tmp_path / "a.nii"), "--json", str(tmp_path / "r.json")]
    assert main(words) == 0
    rendered = json.loads((tmp_path / "r.json").read_text())
    assert work.psnr_db == pytest.approx(rendered["psnr_db"], abs=0.05)
    assert work.decoded.shape == work.original.shape and work.decoded.ndim == 2
    assert 0 <= work.decoded.min() < work.decoded.max() <= 1
    bare = prepare(source, None, [])
    assert np.isnan(bare.psnr_db) and bare.original is None
