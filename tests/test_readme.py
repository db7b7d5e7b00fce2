"""Every command of the README: parsed as written, and run in order in an empty folder."""

import json
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
"""What the quick tests run instead of slow commands."""

SLOW = ("implicore simulate", "implicore synth", "implicore sweep", "implicore demo")
"""Commands that the quick tests omit, with `generate --config sweep/best.toml`, which needs one."""


def blocks() -> list[tuple[str, str]]:
    """Return language and content of each code block."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def in_order() -> list[tuple[str, str]]:
    """List the contents of the code blocks in order: commands, expected outputs and files."""
    found = []
    for language, content in blocks():
        if language == "sh":
            lines = re.sub(r" \\\n *", " ", content).splitlines()
            found += [("command", line.split("  #")[0].strip()) for line in lines if line.strip()]
        else:
            found.append((language, content))
    return found


COMMANDS = [text for kind, text in in_order() if kind == "command"]
FIGURES = list(dict.fromkeys(re.findall(r"\| `((?:implicore|python|make) [^`]+)` \|", TEXT)))
"""The commands of the table of figures."""

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
MEASUREMENTS = re.findall(r"^\t\$\(PYTHON\) (bench/.*)$", MAKEFILE, re.MULTILINE)
MEASUREMENTS = [re.sub(r"\$\((\w+)\)", r"\1", f"python {command}") for command in MEASUREMENTS]
"""What `make bench` and `make bench-all` run."""

ALL = list(dict.fromkeys(COMMANDS + FIGURES + MEASUREMENTS))


def masked(text: str) -> list[str]:
    """Return the lines of a text with every number masked and every gap reduced to one space."""
    lines = [" ".join(re.sub(r"\d[\d.,]*", "#", line).split()) for line in text.splitlines()]
    return [line for line in lines if line]


def test_commands_are_found():
    assert len(COMMANDS) >= 12 and len(FIGURES) >= 8 and len(MEASUREMENTS) >= 10
    assert {language for language, _ in blocks()} <= {"sh", "text", "toml"}


@pytest.mark.parametrize("command", ALL)
def test_every_command_parses(command):
    program, *arguments = shlex.split(command)
    if program == "implicore":
        cli.make_parser().parse_args(arguments)
    elif program == "make":
        done = subprocess.run(["make", "-n", *arguments], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    elif program == "python" and not arguments[0].startswith("tested/"):
        assert (ROOT / arguments[0]).is_file()  # its arguments: see below
    else:
        assert program in ("python", "pip"), f"No test knows the program {program}."


PARSE_ALONE = """
import argparse, contextlib, io, json, runpy, sys

parse = argparse.ArgumentParser.parse_args

def parse_and_leave(*arguments):
    parse(*arguments)
    sys.exit(77)

argparse.ArgumentParser.parse_args = parse_and_leave
errors = []
for command in json.loads(sys.argv[1]):
    sys.argv = command
    sys.path[0] = command[0].rpartition("/")[0]
    with contextlib.redirect_stderr(io.StringIO()) as stderr:
        try:
            runpy.run_path(command[0], run_name="__main__")
            errors.append("The script parses no arguments.")
        except SystemExit as left:
            errors.append("" if left.code == 77 else stderr.getvalue())
print(json.dumps(errors))
"""


def parsed(commands: list[list[str]]) -> list[str]:
    """Run scripts up to the point where their arguments are parsed; their errors, or nothing."""
    done = subprocess.run(
        [sys.executable, "-c", PARSE_ALONE, json.dumps(commands)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_script_arguments_parse():
    commands = [command for command in ALL if command.startswith("python bench/")]
    assert len(commands) >= 12
    scripts = [str(ROOT / "bench" / command.removeprefix("python bench/")) for command in commands]
    errors = parsed([shlex.split(script) for script in scripts])
    assert dict(zip(commands, errors, strict=True)) == dict.fromkeys(commands, "")


def test_invalid_script_option_is_detected(tmp_path):
    (tmp_path / "none.py").write_text("print('no options')")
    wrong = [str(ROOT / "bench" / "sincos.py"), "--taget", "x"]
    errors = parsed([wrong, [str(tmp_path / "none.py")]])
    assert "unrecognized arguments: --taget" in errors[0]
    assert errors[1] == "The script parses no arguments."


def run(command: str, folder: Path) -> str:
    """Run a command, which must succeed, and return what it prints."""
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
    """Run the README's commands in order; each output shown must be the command's."""
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
            printed = None  # every test of this repository depends on it
        else:
            command = change(content)
            printed = run(command, folder) if command else None


def test_quick_commands_run(tmp_path):
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
def test_all_commands_run_unchanged(tmp_path):
    carry_out(tmp_path)
