"""Compiling against images: PSNR over all voxels, the loss by source, tuning."""

import math
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.grid import Grid
from implicore.model.compiler import Voxels, compile_model, training_images
from implicore.model.golden import Renderer
from implicore.model.metrics import psnr
from implicore.model.quantize import STAGES
from implicore.model.volume import Volume, load_source, save_volume
from implicore.network_shape import NetworkShape
from implicore.patch import POINT, Lattice

torch = pytest.importorskip("torch")

from implicore.model.finetune import IntegerNetwork, finetune  # noqa: E402
from implicore.model.network import reconstruct  # noqa: E402
from implicore.model.quantize import assemble, quantize  # noqa: E402
from implicore.model.train import fit  # noqa: E402


def blobs(shape=(14, 12, 10), *, shift: float = 0.0) -> Volume:
    """A smooth image on an oblique grid."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    data = 100 + 90 * np.sin(3 * x + shift) * np.cos(2 * y - z)
    affine = np.array([[0.9, 0.2, 0, -5], [-0.2, 0.9, 0, 3], [0, 0, 1.5, 1], [0, 0, 0, 1.0]])
    return Volume(data.astype(np.uint8), Grid.from_array(shape, affine), "blobs")


@pytest.fixture(scope="module", params=[(1, 1, 1), (3, 2, 4)], ids=["points", "patches"])
def trained(request):
    """A model and its image, which these patches do not divide."""
    volume, patch = blobs(), request.param
    shape = NetworkShape(frequencies=16, width=24, depth=4, skips=(3,), outputs=math.prod(patch))
    return fit([volume], shape, steps=400, sigma=0.7, patch=patch, quiet=True), volume


def test_psnr_equals_the_psnr_of_the_rendered_volume(trained):
    model, volume = trained
    compiled = compile_model(model, Formats.parse("w8a12"), [volume])
    top = compiled.program.formats.output_max
    decoded = Renderer(compiled.program).render(volume.grid) * (255 / top)
    assert compiled.psnr_db == pytest.approx(psnr(volume.data, decoded, 255), abs=1e-4)
    in_float = reconstruct(model, volume.grid).clip(0, 255)
    assert compiled.psnr_float_db == pytest.approx(psnr(volume.data, in_float, 255), abs=1e-2)
    assert compiled.psnr_float_db > 25


def test_metrics_name_quality_and_size(trained):
    model, volume = trained
    compiled = compile_model(model, Formats.parse("w8a12"), [volume])
    metrics = compiled.metrics
    assert metrics["bytes"] == len(compiled.program.to_bytes())
    assert metrics["bits_per_voxel"] == 8 * metrics["bytes"] / volume.grid.voxels
    assert metrics["loss_db"] == metrics["psnr_float_db"] - metrics["psnr_db"]
    assert metrics["digest"] == compiled.program.digest and metrics["formats"] == "w8a12"


def test_training_images_are_found_and_cropped(tmp_path):
    volume, region = blobs(), "2:9,1:8,3:9"
    save_volume(tmp_path / "a.nii", volume.data, volume.grid, exact=True)
    source = {"path": str(tmp_path / "a.nii"), "crop": region}
    cropped = load_source(source)
    shape = NetworkShape(frequencies=2, width=3, depth=2)
    model = fit([cropped], shape, steps=1, sigma=0.7, sources=[source], quiet=True)
    (found,) = training_images(model)
    assert np.array_equal(found.data, cropped.data) and found.grid == cropped.grid
    (tmp_path / "a.nii").rename(tmp_path / "b.nii")
    (found,) = training_images(model, [str(tmp_path / "b.nii")])
    assert np.array_equal(found.data, cropped.data) and found.grid == cropped.grid
    with pytest.raises(BadInput, match=r"a\.nii does not exist.* --image\.$"):
        training_images(model)


def test_losses_by_source_add_up(trained):
    """All voxels are in the sample here, so the account is of the whole loss."""
    model, volume = trained
    compiled = compile_model(model, Formats.parse("w6a8"), [volume])
    assert tuple(compiled.losses_db) == STAGES
    assert sum(compiled.losses_db.values()) == pytest.approx(compiled.loss_db, abs=0.02)


def test_the_same_input_compiles_to_the_same_bytes(trained):
    model, volume = trained
    programs = [compile_model(model, Formats.parse("w8a8"), [volume]).program for _ in range(2)]
    assert programs[0].to_bytes() == programs[1].to_bytes()


def test_wide_formats_lose_almost_nothing(trained):
    model, volume = trained
    assert abs(compile_model(model, Formats.parse("w16a16"), [volume]).loss_db) < 0.01


@pytest.mark.parametrize("trained", [POINT], indirect=True)
def test_tuning_recovers_the_loss_of_narrow_weights(trained):
    model, volume = trained
    formats = Formats.parse("w4a6")

    def tune(rounded, scales, voxels):
        ticks = count()  # a clock of steps, the same on a busy machine
        return finetune(
            rounded,
            formats,
            scales,
            voxels.coordinates,
            voxels.targets,
            seconds=1600,
            clock=lambda: next(ticks),
        )

    plain = compile_model(model, formats, [volume])
    tuned = compile_model(model, formats, [volume], tune=tune)
    assert tuned.psnr_db > plain.psnr_db + 3


def test_tuning_corrects_every_voxel_of_a_point(trained):
    model, volume = trained
    formats = Formats.parse("w8a12")
    voxels = Voxels(model, [volume])
    rounded, scales = quantize(model, formats, voxels.coordinates)
    wrong = np.where(np.arange(model.shape.outputs) % 2, -0.04, 0.04).astype(np.float32)
    spoiled = replace(rounded, biases=(*rounded.biases[:-1], rounded.biases[-1] + wrong))

    def errors(candidate):
        """Mean squared error of each voxel of a point."""
        decoded = Renderer(assemble(candidate, formats, scales)).voxels(voxels.coordinates)
        difference = decoded.reshape(voxels.targets.shape) / formats.output_max - voxels.targets
        return (difference**2).mean(axis=0)

    ticks = count()
    repaired = finetune(
        spoiled,
        formats,
        scales,
        voxels.coordinates,
        voxels.targets,
        seconds=800,
        clock=lambda: next(ticks),
    )
    assert (errors(repaired) < errors(spoiled) / 3).all()


def test_tuning_that_lowers_the_psnr_is_discarded(trained):
    model, volume = trained
    formats = Formats.parse("w8a12")
    spoil = compile_model(
        model,
        formats,
        [volume],
        tune=lambda m, scales, voxels: type(m)(
            **{**vars(m), "biases": tuple(b + np.float32(0.3) for b in m.biases)}
        ),
    )
    plain = compile_model(model, formats, [volume])
    assert spoil.program.to_bytes() == plain.program.to_bytes()


@pytest.mark.parametrize("formats", ["w8a8", "w5a7m3", "w8a12"])
def test_tuning_computes_with_the_integers_of_the_hardware(trained, formats):
    model, volume = trained
    formats = Formats.parse(formats)
    voxels = Voxels(model, [volume])
    rounded, scales = quantize(model, formats, voxels.coordinates)
    network = IntegerNetwork(rounded, formats, scales)
    with torch.no_grad():
        simulated = network(network.features(voxels.coordinates)).numpy().ravel()
    simulated *= formats.output_max
    golden = Renderer(assemble(rounded, formats, scales)).voxels(voxels.coordinates).astype(int)
    inside = (golden > 0) & (golden < formats.output_max)
    # Float32 and unrounded offsets: now and then an activation lands one unit away.
    error = np.abs(simulated - golden)[inside] / formats.output_max
    assert np.median(error) < 2.0**-formats.activation_bits / 4


def test_images_other_than_the_models_are_rejected(trained):
    model, volume = trained
    with pytest.raises(BadInput, match=r"^The model was trained on 1 images, not on 2: give .*\.$"):
        Voxels(model, [volume, volume])
    other = blobs(shift=0.1)
    with pytest.raises(
        BadInput, match=r"^blobs is not the image blobs that .*: its voxels differ\.$"
    ):
        Voxels(model, [other])


def test_exact_coordinates_round_to_the_integers(trained):
    model, volume = trained
    voxels = Voxels(model, [volume])
    exact = voxels.exact_coordinates(voxels.spread(100, seed=3)) * 2.0**14
    assert np.abs(exact - voxels.coordinates[voxels.spread(100, seed=3)]).max() <= 0.5 + 1e-3
    assert len(voxels.spread(10**6, seed=0)) == Lattice(volume.grid, model.patch).grid.voxels
