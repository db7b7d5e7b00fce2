import importlib.util
from pathlib import Path

import pytest

from implicore.hw.formal import PROOFS

ROOT = Path(__file__).resolve().parent.parent

spec = importlib.util.spec_from_file_location("mutants", ROOT / "bench" / "mutants.py")
mutants = importlib.util.module_from_spec(spec)
spec.loader.exec_module(mutants)


def source(name: str) -> str:
    return (ROOT / "hw" / f"{name}.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.what)
def test_a_mutant_changes_exactly_one_place(mutant):
    assert mutant.old != mutant.new
    assert source(mutant.file).count(mutant.old) == 1


@pytest.mark.parametrize("name", PROOFS)
def test_the_fault_of_a_proof_changes_exactly_one_place(name):
    old, new = PROOFS[name].fault
    assert old != new
    assert source(PROOFS[name].module).count(old) == 1
