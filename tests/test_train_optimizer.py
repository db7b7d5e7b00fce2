import numpy as np
import pytest
import torch

from implicore.model.network import FourierNetwork
from implicore.model.train.optimizer import Optimizer, orthogonalize
from implicore.network_shape import NetworkShape


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_orthogonalize_brings_singular_values_near_one(dtype):
    rng = np.random.default_rng(0)
    for shape in ((3, 16, 16), (2, 16, 40), (2, 40, 16)):
        matrices = torch.from_numpy(rng.normal(size=shape) * 1e-6).to(dtype)
        orthogonal = orthogonalize(matrices)
        assert orthogonal.dtype == dtype
        values = torch.linalg.svdvals(orthogonal.float())
        assert float(values.min()) > 0.3 and float(values.max()) < 1.3
    assert orthogonalize(torch.zeros(1, 4, 4)).isfinite().all()


def test_every_parameter_is_trained_by_exactly_one_method():
    network = FourierNetwork(NetworkShape(8, 8, 6, (3, 5)), 1.0)
    optimizer = Optimizer(network)
    muon = [id(weight) for group in optimizer.groups for weight in group]
    adam = [id(parameter) for parameter in optimizer.others]
    assert sorted(muon + adam) == sorted(id(p) for p in network.parameters())
    assert len(muon) == 4
    before = [p.detach().clone() for p in network.parameters()]
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step(1.0)
    assert all(not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
