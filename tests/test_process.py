import os

import pytest

from implicore.process import LOG_LINES, Tool, ToolFailed, log_lines, run


def test_environment_is_restored(monkeypatch):
    monkeypatch.setenv("A", "before")
    monkeypatch.delenv("B", raising=False)
    with Tool("x", "1", {"A": "1", "B": "2"}).activated():
        assert (os.environ["A"], os.environ["B"]) == ("1", "2")
    assert os.environ["A"] == "before" and "B" not in os.environ


def test_run_uses_the_environment_of_the_tool(tmp_path):
    run(["sh", "-c", "echo $A; pwd"], tmp_path, Tool("x", "1", {"A": "1"}), name="shell")
    assert log_lines(tmp_path / "shell.log") == ["1", str(tmp_path)]
    assert log_lines(tmp_path / "sh.log") == []


def test_failed_tool_is_named_with_the_end_of_its_log(tmp_path):
    script = tmp_path / "tool"
    script.write_text("#!/bin/sh\nseq 20; exit 7\n")
    script.chmod(0o755)
    with pytest.raises(ToolFailed) as caught:
        run([script, "-x"], tmp_path)
    lines = [str(number) for number in range(21 - LOG_LINES, 21)]
    assert str(caught.value).splitlines() == [f"tool failed (7): {script} -x", *lines]
    run(["true"], tmp_path)
