"""The trained network in numpy, layer by layer."""

from __future__ import annotations

import numpy as np

from implicore.fixed import PHASE_FRACTION

from ..checkpoint import Model

PROJECTIONS = 8
"""Random sums of the voxels of a point that represent all of them in ``sensitivities``. They enter
only the weights of points in a fit, so that eight suffice."""


class FloatNetwork:
    """A trained network in numpy, which returns the results of every layer.

    Parameters
    ----------
    model : Model
    dtype : numpy float type
        Type of all arithmetic after the phases. Phases are exact in float64.
    """

    def __init__(self, model: Model, dtype=np.float64):
        self.shape, self.dtype = model.shape, dtype
        self.frequencies = model.frequencies
        self.weights = [weight.astype(dtype) for weight in model.weights]
        self.biases = [bias.astype(dtype) for bias in model.biases]

    def features(self, coordinates: np.ndarray) -> np.ndarray:
        """Compute Fourier features.

        Parameters
        ----------
        coordinates : array, shape (points, 3)
            In ``COORDINATE`` units, integer or fractional.

        Returns
        -------
        array, shape (2 L, points)
            Cosines, then sines.
        """
        turns = self.frequencies.astype(np.float64) @ coordinates.T.astype(np.float64)
        return waves(turns * 2.0**-PHASE_FRACTION, self.dtype)

    def activations(self, features: np.ndarray) -> list[np.ndarray]:
        """Compute the results (outputs, points) of every layer; the output layer is linear."""
        results, hidden = [], features[:0]
        for number, size in enumerate(self.shape.layers):
            inputs = np.concatenate([features[: size.features], hidden])
            hidden = self.weights[number] @ inputs + self.biases[number][:, None]
            if number + 1 < self.shape.depth:
                np.maximum(hidden, 0, out=hidden)
            results.append(hidden)
        return results

    def sensitivities(self, results: list[np.ndarray]) -> list[np.ndarray]:
        """Compute how much the voxels depend on every accumulator.

        Parameters
        ----------
        results : list of arrays, shape (outputs, points)
            The return value of ``activations``.

        Returns
        -------
        list of arrays, shape (outputs, points)
            Squared derivatives, summed over the voxels of the point; zero where a neuron is
            inactive. For more than ``PROJECTIONS`` voxels they are estimates: the mean square of
            the derivatives of random signed sums of the voxels, whose expectation is this sum.
        """
        outputs, points = results[-1].shape
        sensitivities = [np.zeros_like(result) for result in results[:-1]]
        rng = np.random.default_rng(0)
        for number in range(min(outputs, PROJECTIONS)):
            if outputs <= PROJECTIONS:
                gradient = np.zeros((outputs, points), self.dtype)
                gradient[number] = 1
            else:
                signs = rng.integers(0, 2, (outputs, points), np.int8)
                gradient = (2 * signs - 1) * self.dtype(PROJECTIONS**-0.5)
            for layer in range(self.shape.depth - 1, 0, -1):
                hidden = self.weights[layer][:, self.shape.layers[layer].features :]
                gradient = (hidden.T @ gradient) * (results[layer - 1] > 0)
                sensitivities[layer - 1] += gradient**2
        return [*sensitivities, np.ones_like(results[-1])]


def waves(turns: np.ndarray, dtype=np.float64) -> np.ndarray:
    """Compute cosines, then sines, of phases in turns: (L, points) to (2 L, points)."""
    angle = (2 * np.pi * (turns - np.floor(turns))).astype(dtype)
    return np.concatenate([np.cos(angle), np.sin(angle)])
