"""Quantization: scales, rounding, and the stages of the loss."""

import numpy as np
import pytest

from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.grid import Frame, Grid
from implicore.model.checkpoint import Model
from implicore.model.golden import Renderer
from implicore.model.quantize import STAGES, FloatNetwork, assemble, quantize, staged_outputs
from implicore.network_shape import NetworkShape
from implicore.patch import Lattice
from implicore.program import Intensity

GRID = Grid.from_array((9, 8, 7), np.diag([1.0, 1.5, 2.0, 1.0]))
SHAPES = [
    NetworkShape(6, 10, 1),
    NetworkShape(3, 5, 2),
    NetworkShape(8, 12, 4, (2, 4)),
    NetworkShape(16, 24, 6),
]
PATCHES = {
    NetworkShape(8, 12, 3, (3,), outputs=12): (3, 2, 2),
    NetworkShape(6, 10, 1, (), 4): (2, 2, 1),
}


def random_model(shape: NetworkShape, seed: int = 0, *, dead: bool = False) -> Model:
    """Return a network with outputs between 0 and 1; with ``dead``, some neurons are inactive."""
    patch = PATCHES.get(shape, (1, 1, 1))
    rng = np.random.default_rng(seed)
    weights, biases = [], []
    for number, size in enumerate(shape.layers, 1):
        hidden = number < shape.depth
        scale = np.sqrt(2 / size.inputs) if hidden else 0.2 / np.sqrt(size.inputs)
        weights.append(rng.normal(0, scale, (size.outputs, size.inputs)).astype(np.float32))
        biases.append(rng.normal(0, 0.1, size.outputs).astype(np.float32))
        if dead and hidden:
            biases[-1][::2] = -50
            weights[-1][1] = 0
    biases[-1] += np.float32(0.5)
    return Model(
        shape=shape,
        sigma=1.0,
        frequencies=rng.normal(0, 1024, (shape.frequencies, 3)).astype(np.int64),
        weights=tuple(weights),
        biases=tuple(biases),
        frame=Frame.around([Lattice(GRID, patch).padded]),
        grids=(GRID,),
        intensity=Intensity(0.0, 255.0, "uint8"),
        images=({"name": "none", "sha256": ""},),
        patch=patch,
    )


def points(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-16384, 16384, (count, 3))


def compiled(model: Model, formats: Formats, count: int = 1000):
    rounded, scales = quantize(model, formats, points(count))
    return assemble(rounded, formats, scales)


def outputs(model: Model, program, where) -> tuple[np.ndarray, np.ndarray]:
    """Return the outputs, 0 to 1, of the trained and the compiled network."""
    network = FloatNetwork(model)
    trained = network.activations(network.features(where))[-1].T.ravel().clip(0, 1)
    return trained, Renderer(program).voxels(where) / program.formats.output_max


@pytest.mark.parametrize("formats", ["w16a16", "w12a16m8", "w8a12", "w8a8", "w8a8m4", "w5a6m3"])
@pytest.mark.parametrize("shape", [*SHAPES, *PATCHES], ids=lambda s: f"d{s.depth}o{s.outputs}")
def test_compiled_networks_follow_the_trained_ones(shape, formats):
    model, formats = random_model(shape), Formats.parse(formats)
    program = compiled(model, formats, 2000)
    trained, decoded = outputs(model, program, points(500, seed=1))
    assert trained.std() > 0.02
    bits = min(formats.weight_bits, formats.activation_bits, formats.table_address_bits - 2)
    assert np.sqrt(((trained - decoded) ** 2).mean()) < 3.0 * 2.0**-bits


def test_rounded_weights_are_whole_multiples_of_their_scales():
    model, formats = random_model(SHAPES[2]), Formats.parse("w8a12")
    rounded, scales = quantize(model, formats, points(1000))
    program = assemble(rounded, formats, scales)
    for layer, scale, weights in zip(program.layers, scales, rounded.weights, strict=True):
        exact = weights * scale.inputs / scale.accumulators[:, None]
        assert np.abs(exact - layer.weights).max() < 0.01
        assert np.abs(layer.weights).max() <= 127


@pytest.mark.parametrize("formats", ["w8a12", "w8a8m4", "w4a4m15"])
def test_inactive_neurons_are_harmless(formats):
    model, formats = random_model(SHAPES[3], dead=True), Formats.parse(formats)
    trained, decoded = outputs(model, compiled(model, formats), points(500, seed=1))
    assert np.sqrt(((trained - decoded) ** 2).mean()) < 8.0 * 2.0**-formats.weight_bits


def test_rounding_compensates_for_its_errors():
    """Fitted rounding is far better than rounding each weight to the nearest integer."""
    model, formats = random_model(SHAPES[3]), Formats.parse("w5a12")
    where, test = points(4000), points(1000, seed=1)
    rounded, scales = quantize(model, formats, where)
    errors = []
    for candidate in (rounded, model):
        trained, decoded = outputs(model, assemble(candidate, formats, scales), test)
        errors.append(((trained - decoded) ** 2).mean())
    assert errors[0] < 0.5 * errors[1]


@pytest.mark.parametrize("shape", [*SHAPES, *PATCHES], ids=lambda s: f"d{s.depth}o{s.outputs}")
@pytest.mark.parametrize("formats", ["w8a12", "w6a7m3t12"])
def test_the_stages_end_at_what_the_golden_model_decodes(shape, formats):
    model, formats = random_model(shape), Formats.parse(formats)
    rounded, scales = quantize(model, formats, points(1000))
    program = assemble(rounded, formats, scales)
    where = points(300, seed=2)
    stages = dict(staged_outputs(model, program, scales, where / 2.0**14))
    assert list(stages) == ["float", *STAGES]
    decoded = np.rint(stages["output"] * formats.output_max).ravel()
    golden = Renderer(program).voxels(where).astype(int)
    # The stages compute in floats: occasionally a value falls on the other side of a half.
    assert (np.abs(decoded - golden) > 0).mean() < 0.02
    np.testing.assert_array_equal(stages["float"], stages["coordinates"])


def test_sensitivities_are_the_squared_derivatives_of_all_voxels():
    (shape, _) = PATCHES
    network = FloatNetwork(random_model(shape))
    results = network.activations(network.features(points(4000)))
    estimated = network.sensitivities(results)
    assert (estimated[-1] == 1).all()
    jacobian = np.repeat(np.eye(12)[:, :, None], 4000, axis=2)  # (voxels, neurons, points)
    for number in (1, 0):
        hidden = network.weights[number + 1][:, shape.layers[number + 1].features :]
        jacobian = np.einsum("vnp,nm->vmp", jacobian, hidden) * (results[number] > 0)
        exact = (jacobian**2).sum(axis=0)
        # Twelve voxels are more than PROJECTIONS, so that these are estimates without bias.
        assert ((exact == 0) == (estimated[number] == 0)).all()
        ratio = estimated[number].sum(axis=1) / exact.sum(axis=1)
        assert np.abs(ratio - 1).max() < 0.1


def test_sensitivities_of_few_voxels_are_exact():
    model = random_model(NetworkShape(3, 5, 2))
    network = FloatNetwork(model)
    results = network.activations(network.features(points(50)))
    hidden, last = network.sensitivities(results)
    assert (hidden == (network.weights[1].T * (results[0] > 0)) ** 2).all()
    assert (last == 1).all()


def test_formats_that_cannot_hold_the_network_are_rejected():
    model = random_model(SHAPES[3])
    with pytest.raises(
        BadInput, match=r"^The program's accumulators can need \d+ bits, more than the 12 of .*\.$"
    ):
        compiled(model, Formats.parse("w8a12c12"))
    biases = (*model.biases[:-1], model.biases[-1] + 1e6)
    far = Model(**{**vars(model), "biases": biases})
    text = r"^A bias of the last layer is \d+\.\d times the limit of the formats w8a12: use "
    with pytest.raises(BadInput, match=text):
        compiled(far, Formats.parse("w8a12"))
