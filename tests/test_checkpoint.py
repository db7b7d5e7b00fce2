import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy

from implicore.errors import BadInput
from implicore.grid import Frame, Grid
from implicore.model.checkpoint import (
    Intensity,
    Model,
    image_digest,
    read_tensors,
    write_tensors,
)
from implicore.model.volume import Volume
from implicore.network_shape import NetworkShape

SHAPE = NetworkShape(frequencies=3, width=4, depth=3, skips=(2,))


def make_model(**changes) -> Model:
    rng = np.random.default_rng(0)
    grid = Grid.from_array(
        (4, 3, 5), [[1.1, 0, 0, 3], [0, 0.3, 0, 1 / 3], [0, 0, 2, 0], [0, 0, 0, 1]]
    )
    model = Model(
        shape=SHAPE,
        sigma=1.5,
        frequencies=rng.integers(-(2**15), 2**15, (3, 3)),
        weights=tuple(
            rng.normal(size=(s.outputs, s.inputs)).astype(np.float32) for s in SHAPE.layers
        ),
        biases=tuple(rng.normal(size=s.outputs).astype(np.float32) for s in SHAPE.layers),
        frame=Frame.around([grid]),
        grids=(grid,),
        intensity=Intensity(-1000.0, 3000.5, "int16"),
        images=({"name": "a.nii", "sha256": "0" * 64, "path": "x/a.nii", "crop": None},),
        training={"psnr_db": 40.25, "steps": 7, "bf16": True},
    )
    return replace(model, **changes)


def test_a_model_comes_back_to_the_last_bit(tmp_path):
    model = make_model()
    model.save(tmp_path / "m")
    again = Model.load(tmp_path / "m")
    for name in ("shape", "sigma", "frame", "grids", "intensity", "images", "training"):
        assert getattr(again, name) == getattr(model, name)
    for mine, theirs in zip(
        (model.frequencies, *model.weights, *model.biases),
        (again.frequencies, *again.weights, *again.biases),
        strict=True,
    ):
        assert mine.dtype == theirs.dtype
        assert np.array_equal(mine, theirs)


def make_patch_model(**changes) -> Model:
    shape = replace(SHAPE, outputs=12)
    weights, biases = make_model().weights[:-1], make_model().biases[:-1]
    return make_model(
        shape=shape,
        weights=(*weights, np.ones((12, 4), np.float32)),
        biases=(*biases, np.ones(12, np.float32)),
        **{"patch": (2, 3, 2), **changes},
    )


def test_a_patch_comes_back(tmp_path):
    make_patch_model().save(tmp_path / "m")
    assert Model.load(tmp_path / "m").patch == (2, 3, 2)


def test_a_model_of_points_does_not_mention_patches(tmp_path):
    make_model().save(tmp_path / "m")
    header = read_tensors(tmp_path / "m", kind="model")[1]
    assert "patch" not in header and "outputs" not in header["shape"]


def test_a_patch_that_the_network_cannot_decode_is_rejected():
    with pytest.raises(
        BadInput,
        match=r"^A patch of 2x2x2 voxels needs as many outputs, but the network has 12\.$",
    ):
        make_patch_model(patch=(2, 2, 2))
    with pytest.raises(
        BadInput,
        match=r"^Patches of 2x3x2 voxels tile one image, not 2: fit several images with "
        r"--patch 1x1x1\.$",
    ):
        make_patch_model(grids=make_model().grids * 2)


def test_the_same_model_makes_the_same_bytes(tmp_path):
    contents = set()
    for number in range(5):
        make_model().save(tmp_path / str(number))
        contents.add((tmp_path / str(number)).read_bytes())
    assert len(contents) == 1


def test_a_model_is_read_without_torch(tmp_path):
    make_model().save(tmp_path / "m")
    code = (
        "import sys; from implicore.model.checkpoint import Model; "
        "Model.load(sys.argv[1]); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "m")], check=True)


def test_a_damaged_file_is_rejected(tmp_path):
    make_model().save(tmp_path / "m")
    whole = (tmp_path / "m").read_bytes()
    rng = np.random.default_rng(0)
    damaged = [whole[:length] for length in (0, 1, 7, 8, 100, len(whole) // 2, len(whole) - 1)]
    damaged += [whole + b"\0", b"\xff" * 64]
    for place in rng.integers(0, len(whole), 300):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << rng.integers(8)
        damaged.append(bytes(flipped))
    pattern = re.compile(
        r".*/d (is not a model file of implicore(, or it is damaged)?|is a damaged model file)\."
    )
    for content in damaged:
        (tmp_path / "d").write_bytes(content)
        with pytest.raises(BadInput) as caught:
            Model.load(tmp_path / "d")
        assert pattern.fullmatch(str(caught.value))


def test_a_foreign_file_is_rejected(tmp_path):
    (tmp_path / "text").write_text("hello, this is no model\n" * 10)
    with pytest.raises(BadInput, match=r"^.*/text is not a model file of implicore, or it is dam"):
        Model.load(tmp_path / "text")
    safetensors.numpy.save_file({"a": np.zeros(3)}, tmp_path / "other")
    with pytest.raises(BadInput, match=r"^.*/other is not a model file of implicore\.$"):
        Model.load(tmp_path / "other")
    write_tensors(tmp_path / "part", {}, {"kind": "checkpoint"})
    with pytest.raises(BadInput, match=r"^.*/part is not a model file of implicore\.$"):
        Model.load(tmp_path / "part")
    with pytest.raises(BadInput, match=r"^.*/none cannot be read: no such file or directory\.$"):
        Model.load(tmp_path / "none")
    with pytest.raises(BadInput, match=r"^.* cannot be read: .*\.$"):
        Model.load(tmp_path)


def test_another_version_is_rejected(tmp_path):
    write_tensors(tmp_path / "m", {}, {"kind": "model", "version": 99})
    with pytest.raises(
        BadInput, match=r"^.*/m has version 99, but this release reads version 1\.$"
    ):
        Model.load(tmp_path / "m")


@pytest.mark.parametrize("missing", ["shape", "frame", "grids", "intensity", "images", "training"])
def test_a_header_without_a_part_is_rejected(tmp_path, missing):
    make_model().save(tmp_path / "m")
    tensors, header = read_tensors(tmp_path / "m", "model")
    del header[missing]
    write_tensors(tmp_path / "m", tensors, header)
    with pytest.raises(BadInput, match=r"^.*/m is a damaged model file\.$"):
        Model.load(tmp_path / "m")


def test_init_wrong_weights():
    model = make_model()
    with pytest.raises(
        BadInput, match=r"^A model's weights do not have the shape of its network\.$"
    ):
        make_model(weights=model.weights[:-1])
    with pytest.raises(BadInput, match=r"^A model's frequencies do not have the shape of its"):
        make_model(frequencies=model.frequencies[:2])
    with pytest.raises(
        BadInput, match=r"^A model's frequencies exceed the range of their number format\.$"
    ):
        make_model(frequencies=model.frequencies + 2**15)
    with pytest.raises(BadInput, match=r"^A model's weights must be finite numbers\.$"):
        make_model(weights=(*model.weights[:-1], model.weights[-1] * np.nan))
    with pytest.raises(BadInput, match=r"^A model must have the grid of at least one image\.$"):
        make_model(grids=())


def test_image_digest_depends_on_everything():
    grid = Grid.from_array((2, 2, 2), np.eye(4))
    moved = Grid.from_array((2, 2, 2), np.diag([1.0, 1, 2, 1]))
    data = np.arange(8, dtype=np.int16).reshape(2, 2, 2)
    digests = {
        image_digest(Volume(data, grid, "a")),
        image_digest(Volume(data + np.int16(1), grid, "a")),
        image_digest(Volume(data.astype(np.uint16), grid, "a")),
        image_digest(Volume(data, moved, "a")),
    }
    assert len(digests) == 4
    assert image_digest(Volume(data, grid, "b")) in digests
    fortran = np.asfortranarray(data)
    assert image_digest(Volume(fortran, grid, "a")) == image_digest(Volume(data, grid, "a"))


def test_bits_per_voxel():
    weights, biases, voxels = 6 * 4 + 10 * 4 + 4, 4 + 4 + 1, 3 * 4 * 5
    assert make_model().bits_per_voxel == 32 * (weights + biases) / voxels
