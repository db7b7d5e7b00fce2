"""Every command of the README: parsed as it stands, and run in its order in a folder of its own."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from implicore import cli

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")

SMALL = {
    "--seconds 60": "--steps 40 --sigma 2.5 --crop 40:56,50:66,40:56",
    "generate -o verilog --config medium": "generate -o verilog --config tiny",
}
"""What the quick tests do in the place of what takes its time."""

SLOW = ("implicore simulate", "implicore synth", "implicore sweep", "implicore demo")
"""What they leave out, and `generate --config sweep/best.toml` with it."""


def blocks() -> list[tuple[str, str]]:
    """Language and content of each code block."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def in_order() -> list[tuple[str, str]]:
    """What the code blocks say: a command, its expected output, or a file, one after the other."""
    found = []
    for language, content in blocks():
        if language == "sh":
            lines = re.sub(r" \\\n *", " ", content).splitlines()
            found += [("command", line.split("  #")[0].strip()) for line in lines if line.strip()]
        else:
            found.append((language, content))
    return found


COMMANDS = [text for kind, text in in_order() if kind == "command"]
FIGURES = re.findall(r"\| `((?:implicore|python|make) [^`]+)` \|", TEXT)
"""The commands of the table of figures."""


def masked(text: str) -> list[str]:
    """Lines in which every number and every gap looks like any other."""
    lines = [" ".join(re.sub(r"\d[\d.,]*", "#", line).split()) for line in text.splitlines()]
    return [line for line in lines if line]


def test_there_is_something_to_test():
    assert len(COMMANDS) >= 12 and len(FIGURES) >= 8
    assert {language for language, _ in blocks()} <= {"sh", "text", "toml"}


@pytest.mark.parametrize("command", COMMANDS + FIGURES)
def test_every_command_can_be_given(command):
    program, *arguments = shlex.split(command)
    if program == "implicore":
        cli.make_parser().parse_args(arguments)
    elif program == "make":
        done = subprocess.run(["make", "-n", *arguments], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    elif program == "python" and not arguments[0].startswith("tested/"):
        assert (ROOT / arguments[0]).is_file()
    else:
        assert program in ("python", "pip"), f"a program that no test knows: {program}"


def run(command: str, folder: Path) -> str:
    """What a command prints; it must succeed."""
    scripts = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


def carry_out(folder: Path, change=lambda command: command) -> None:
    """Do what the README says, in its order; an output that is shown must be the command's."""
    printed = ""
    for kind, content in in_order():
        if kind == "toml":
            (folder / re.match(r"# (\S+)\n", content)[1]).write_text(content, encoding="utf-8")
        elif kind == "text":
            if printed is not None:
                lines = masked(printed)
                missing = [line for line in masked(content) if line not in lines and line != "..."]
                assert not missing, f"{missing} is not among\n{printed}"
        elif content.startswith(("make", "pip")):
            printed = None  # what every test of this repository depends on
        else:
            command = change(content)
            printed = run(command, folder) if command else None


def test_the_quick_commands_with_small_budgets(tmp_path):
    ran = []

    def change(command):
        if command.startswith(SLOW) or "sweep/" in command:
            return None
        for long, short in SMALL.items():
            command = command.replace(long, short)
        ran.append(command.split()[1])
        return command

    carry_out(tmp_path, change)
    assert set(ran) == {"fit", "compile", "inspect", "render", "generate", "tested/tests/run.py"}
    assert (tmp_path / "verilog" / "implicore.v").is_file()


@pytest.mark.slow
def test_every_command_as_it_stands(tmp_path):
    carry_out(tmp_path)
