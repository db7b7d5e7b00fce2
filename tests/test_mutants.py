"""The mutants of bench/mutants.py: each must match exactly one piece of source."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

_spec = importlib.util.spec_from_file_location("mutants", ROOT / "bench" / "mutants.py")
mutants = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(mutants)


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_changes_exactly_one_place(mutant):
    text = (ROOT / "hw" / f"{mutant.file}.py").read_text(encoding="utf-8")
    assert text.count(mutant.old) == 1
    changed = text.replace(mutant.old, mutant.new)
    assert changed != text
    compile(changed, mutant.file, "exec")


def test_mutant_tests_exist():
    assert [test for test in mutants.TESTS if not (ROOT / test).is_file()] == []
