"""The trained network in numpy, layer by layer."""

from __future__ import annotations

import numpy as np

from implicore.fixed import PHASE_FRACTION

from ..checkpoint import Model


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

    def gradients(self, results: list[np.ndarray]) -> list[np.ndarray]:
        """Compute the derivatives of the output with respect to every accumulator.

        Parameters
        ----------
        results : list of arrays, shape (outputs, points)
            The return value of ``activations``.

        Returns
        -------
        list of arrays, shape (outputs, points)
            Zero where a neuron is inactive.
        """
        gradients = [np.ones_like(results[-1])]
        for number in range(self.shape.depth - 1, 0, -1):
            hidden = self.weights[number][:, self.shape.layers[number].features :]
            gradients.insert(0, (hidden.T @ gradients[0]) * (results[number - 1] > 0))
        return gradients


def waves(turns: np.ndarray, dtype=np.float64) -> np.ndarray:
    """Compute cosines, then sines, of phases in turns: (L, points) to (2 L, points)."""
    angle = (2 * np.pi * (turns - np.floor(turns))).astype(dtype)
    return np.concatenate([np.cos(angle), np.sin(angle)])
