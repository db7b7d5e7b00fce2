"""Fit of a layer's weights to its rounded inputs, and their rounding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FLOOR = 0.3
"""Share of a neuron's statistics in which all points have equal weight. In the rest, the weight of
a point is the squared derivative of its voxels with respect to the neuron's accumulator, which is
zero where the neuron is inactive. This halves the loss of 8-bit weights."""

DAMPING = 1e-3
"""Share of the mean variance of a layer's inputs that is added to each input's variance."""


@dataclass(frozen=True)
class FittedWeights:
    """Weights fitted to rounded inputs, and the cost of rounding them; one row per neuron.

    Attributes
    ----------
    matrix : float64 array, shape (outputs, inputs)
        The weights that come closest to the wanted accumulators.
    hessians : float64 array, shape (outputs, inputs, inputs)
        Covariances of the inputs, weighted for each neuron.
    means, targets : float64 arrays, shapes (outputs, inputs) and (outputs,)
        Weighted means of the inputs and of the wanted accumulators, from which the bias follows.
    """

    matrix: np.ndarray
    hessians: np.ndarray
    means: np.ndarray
    targets: np.ndarray

    @classmethod
    def fit(
        cls, matrix: np.ndarray, inputs: np.ndarray, wanted: np.ndarray, sensitivities: np.ndarray
    ) -> FittedWeights:
        """Fit weights by least squares, weighted by ``sensitivities``.

        Parameters
        ----------
        matrix : array, shape (outputs, inputs)
            The trained weights.
        inputs : array, shape (inputs, points)
            The rounded inputs.
        wanted : array, shape (outputs, points)
            Target of ``matrix @ inputs`` plus the bias.
        sensitivities : array, shape (outputs, points)
            Squared derivatives of the point's voxels with respect to ``wanted``.
        """
        # Compiling spends most of its time on these products: hence float32 and the form X X^T, of
        # which numpy computes only one half.
        middle = inputs.mean(axis=1)
        centred = (inputs - middle[:, None]).astype(np.float32)
        rows, hessians, means, targets = [], [], [], []
        for row, goal, sensitivity in zip(matrix, wanted, sensitivities, strict=True):
            weight = sensitivity / max(sensitivity.sum(), 1e-30)
            weight = ((1 - FLOOR) * weight + FLOOR / len(weight)).astype(np.float32)
            root = centred * np.sqrt(weight)
            mean, target = centred @ weight, goal @ weight
            missing = (goal - target).astype(np.float32) - row.astype(np.float32) @ centred
            hessian = (root @ root.T).astype(np.float64) - np.outer(mean, mean)
            hessian[np.diag_indices_from(hessian)] += DAMPING * max(np.diag(hessian).mean(), 1e-9)
            missing *= weight
            rows.append(row + np.linalg.solve(hessian, centred @ missing - mean * missing.sum()))
            hessians.append(hessian)
            means.append(mean + middle)
            targets.append(target)
        return cls(*map(np.stack, (rows, hessians, means, targets)))

    @property
    def importance(self) -> np.ndarray:
        """Variance of each input as each neuron sees it, shape (outputs, inputs)."""
        return np.diagonal(self.hessians, axis1=1, axis2=2)

    def rounded(self, scales: np.ndarray, top: int) -> np.ndarray:
        """Round to integers (outputs, inputs) that preserve the accumulators.

        The inputs are rounded one after the other, and the remaining ones compensate for the error
        (OPTQ: Frantar et al., ICLR 2023).

        Parameters
        ----------
        scales : array, shape (outputs,)
            The accumulator scales.
        top : int
            The largest integer weight.
        """
        matrix, importance = self.matrix / scales[:, None], self.importance.mean(axis=0)
        order = np.argsort(-importance, kind="stable")  # the most important inputs first
        inverse = np.linalg.inv(self.hessians[:, order][:, :, order])
        upper = np.linalg.cholesky((inverse + inverse.mT) / 2).mT
        rest, integers = matrix[:, order], np.empty_like(matrix)
        for place, column in enumerate(order):
            integers[:, column] = np.clip(np.floor(rest[:, place] + 0.5), -top, top)
            error = (rest[:, place] - integers[:, column]) / upper[:, place, place]
            rest[:, place + 1 :] -= error[:, None] * upper[:, place, place + 1 :]
        return integers
