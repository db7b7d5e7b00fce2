"""The option --no-skips: CI must not pass because a test did not run."""

import subprocess
import sys
from pathlib import Path

import pytest

SKIPPING = {
    "a test that calls skip": "def test_it():\n    pytest.skip('no kit')",
    "a mark": "@pytest.mark.skipif(True, reason='no kit')\ndef test_it():\n    pass",
    "a fixture": (
        "@pytest.fixture\ndef kit():\n    pytest.skip('no kit')\n\n\ndef test_it(kit):\n    pass"
    ),
    "a module": "pytest.importorskip('no_such_package', reason='no kit')",
}


def run(folder, source, *options):
    """Run pytest on one file with this repository's conftest; return exit code and output."""
    conftest = Path(__file__).with_name("conftest.py").read_text(encoding="utf-8")
    (folder / "conftest.py").write_text(conftest, encoding="utf-8")
    (folder / "test_one.py").write_text(f"import pytest\n\n\n{source}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("source", SKIPPING.values(), ids=SKIPPING)
def test_a_skip_fails_on_request_only(tmp_path, source):
    code, output = run(tmp_path, source)
    assert code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED), output
    code, output = run(tmp_path, source, "--no-skips")
    assert code in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED), output
    assert "--no-skips: test_one.py" in output and "no kit" in output


def test_what_runs_still_passes(tmp_path):
    source = "def test_it():\n    pass\n\n\n@pytest.mark.xfail\ndef test_known():\n    assert False"
    code, output = run(tmp_path, source, "--no-skips")
    assert code == pytest.ExitCode.OK, output
