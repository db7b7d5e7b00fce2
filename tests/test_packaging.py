"""Installations: from a wheel in a fresh environment, and in editable mode."""

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import PackageNotFoundError, metadata, packages_distributions, requires
from pathlib import Path

import pytest

import implicore

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
FOLDERS = ("hw", "model", "sim", "synth")

IMPORTED_AS = {"cocotb": "cocotb_tools", "cocotbext-axi": "cocotbext"}
"""Distributions whose import name is another one."""

# Run by the Python of each installation, from a folder that is not the repository.
CHECK = """
import importlib.metadata, importlib.util, pathlib, sys
import implicore, implicore.model
from implicore.model.bundled import bundled_mri
import nibabel
assert nibabel.load(bundled_mri()).shape == (98, 116, 94)
assert (bundled_mri().parent / "NOTICE-MNI152.txt").exists()
assert importlib.metadata.version("implicore") == implicore.__version__
for name in ("hw", "model", "sim", "synth"):
    assert importlib.util.find_spec(name) is None, name
print(pathlib.Path(implicore.__file__).parent)
"""


def run(*command, cwd, **options):
    """Run a command without pytest's Python path and return its output."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy: setuptools leaves its build/ and egg-info beside the source."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("src", *FOLDERS):
        if (ROOT / name).is_dir():
            ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(ROOT / name, source / name, ignore=ignore)
    pip = (sys.executable, "-m", "pip", "-q", "wheel", "--no-deps", "--no-build-isolation")
    run(*pip, "-w", folder, source, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A fresh environment with the wheel and its dependencies, as the folder of its commands."""
    folder = tmp_path_factory.mktemp("environment")
    # Our own pip installs into it, which saves the time to install another.
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    binaries = folder / "venv" / "bin"
    pip = (sys.executable, "-m", "pip", "-q", "--python", binaries / "python", "install")
    run(*pip, "--no-compile", "-c", ROOT / "constraints.txt", wheel, cwd=folder)
    return binaries


def test_every_package_is_listed():
    listed = {name: SETUPTOOLS["package-dir"].get(name) for name in SETUPTOOLS["packages"]}
    assert all((ROOT / folder / "__init__.py").is_file() for folder in listed.values())
    starts = [ROOT / folder for folder in ("src/implicore", *FOLDERS)]
    holding = {path.parent for start in starts for path in start.rglob("*.py")}
    assert holding == {ROOT / folder for folder in listed.values()}


def test_the_newest_version_of_the_changelog_is_this_one():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## (\S+)$", text, re.M)
    assert sections[sections[0] == "Unreleased"] == implicore.__version__


def test_wheel_holds_the_packages_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = set()
    for package in SETUPTOOLS["packages"]:
        folder = ROOT / SETUPTOOLS["package-dir"][package]
        within = package.replace(".", "/")
        for pattern in (
            "*.py",
            "*.pyi",
            "py.typed",
            "*.cpp",
            "*.h",
            "targets/*.toml",
            "templates/*",
        ):
            paths = folder.glob(pattern)
            expected |= {f"{within}/{path.relative_to(folder).as_posix()}" for path in paths}
    assert {"implicore/sim/fast.cpp", "implicore/synth/targets/osu018.toml"} <= expected
    expected |= {"implicore/model/data/mni152_t1.nii.gz", "implicore/model/data/NOTICE-MNI152.txt"}
    information = {name for name in names if name.split("/")[0].endswith(".dist-info")}
    assert names - information == expected
    assert any(name.endswith("/licenses/LICENSE") for name in information)
    assert any(name.endswith("/licenses/model/data/NOTICE-MNI152.txt") for name in information)


def test_wheel_in_a_fresh_environment(installed, tmp_path):
    place = run(installed / "python", "-c", CHECK, cwd=tmp_path).strip()
    assert Path(place).is_relative_to(installed.parent)


def test_wheel_works_without_torch(installed, tmp_path):
    code = "import importlib.util, implicore.cli; assert importlib.util.find_spec('torch') is None"
    run(installed / "python", "-c", code, cwd=tmp_path)
    assert "usage: implicore" in run(installed / "implicore", "--help", cwd=tmp_path)
    assert "usage: implicore" in run(
        installed / "python", "-m", "implicore", "--help", cwd=tmp_path
    )


def test_wheel_installs_one_top_level_package(installed):
    (packages,) = (installed.parent / "lib").glob("python*/site-packages")
    assert (packages / "implicore" / "model").is_dir()
    tops = {path.stem for path in packages.iterdir() if path.suffix in ("", ".py", ".pth")}
    assert "implicore" in tops
    assert not tops & {*FOLDERS, "src"}


def test_editable_installation_works(tmp_path):
    """`make setup` installs in editable mode, where the package-dir map must hold as well."""
    place = run(sys.executable, "-c", CHECK, cwd=tmp_path).strip()
    assert Path(place) == ROOT / "src" / "implicore"
    command = Path(sysconfig.get_path("scripts")) / "implicore"
    assert "usage: implicore" in run(command, "--help", cwd=tmp_path)


def test_missing_system_packages_are_one_sentence(tmp_path):
    """Without root and sudo, a missing package is named in one sentence, with exit code 2."""
    stand_ins = {"dpkg-query": "exit 1", "sudo": "exit 1", "id": "echo 1000", "apt-get": "exit 9"}
    for name, body in stand_ins.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["sh", ROOT / "tools" / "system-packages.sh", "setup", "flow", "test"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    # Of packages that dpkg is asked for all are missing, of others those whose command is.
    missing = r": (.* )?qflow-tech-osu018 (.* )?mricron-data invesalius-examples( .*)?\n$"
    assert re.search(missing, done.stderr)


PROGRAM = """
from implicore.formats import Formats
from implicore.network_shape import NetworkShape
from implicore.random_program import random_program
random_program(NetworkShape(3, 4, 3), Formats.parse("w8a8"), seed=1).save("small.inr")
"""
SMALL = """
rows = 2
columns = 2
formats = "w8a8"
frequencies = 3
width = 4
depth = 3
weight_depth = 20
constant_depth = 9
"""
"""A program, and an accelerator that holds it, both small."""

SWEEP = """
formats = ["w8a8"]
rows = [2]
columns = [2]
networks = ["demo"]
"""


@pytest.fixture
def folder(tmp_path):
    run(sys.executable, "-c", PROGRAM, cwd=tmp_path)
    (tmp_path / "small.toml").write_text(SMALL)
    (tmp_path / "sweep.toml").write_text(SWEEP)
    return tmp_path


EXTRAS = {
    "src": (),
    "model": ("train",),
    "hw": ("hw",),
    "sim": ("sim",),
    "synth": ("synth", "fpga"),
    "synth/explore": ("sweep",),
    "synth/report": ("sweep",),
    "bench": ("bench", "sweep", "peers"),
    "tests": ("test", "train", "bench"),
    "tools": (),
    "docs": ("docs",),
}
"""The extras that the modules of each folder may need besides the base dependencies."""


def third_party_imports(path: Path) -> set[str]:
    """Top-level names that a module imports, anywhere in it, from neither stdlib nor repository."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.split(".")[0])
    # `benches` and `formal` are packages in `tests`.
    found -= sys.stdlib_module_names | {"implicore", "benches", "formal"}
    return {name for name in found if not path.with_name(f"{name}.py").is_file()}


def normalized(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def undeclared(imports: set[str], extras: tuple[str, ...]) -> set[str]:
    """Those imports whose distribution is among neither the dependencies nor the extras."""
    declared = set().union(requirements(None), *map(requirements, extras))
    declared = {normalized(name) for name in declared}
    installed = packages_distributions()
    return {
        name
        for name in imports
        if not {normalized(one) for one in installed.get(name, [name])} & declared
    }


@pytest.mark.parametrize("folder", EXTRAS)
def test_every_third_party_import_is_declared(folder):
    paths = [
        path
        for path in (ROOT / folder).rglob("*.py")
        if not any(
            other.startswith(f"{folder}/") and path.is_relative_to(ROOT / other) for other in EXTRAS
        )
    ]
    imports = set().union(*map(third_party_imports, paths))
    assert undeclared(imports, EXTRAS[folder]) == set()


def test_undeclared_import_is_detected(tmp_path):
    source = "import os\nimport PIL.Image\ndef f():\n    from torch import nn\n    import skimage\n"
    (tmp_path / "module.py").write_text(source)
    imports = third_party_imports(tmp_path / "module.py")
    assert imports == {"PIL", "torch", "skimage"}
    assert undeclared(imports, ()) == {"torch"}
    assert undeclared(imports, ("demo",)) == set()


def requirements(extra: str | None) -> set[str]:
    """The packages that an extra installs, including those of the extras that it names.

    Without an extra, the packages that every installation has.
    """
    found, project = set(), PROJECT["project"]
    for line in project["optional-dependencies"][extra] if extra else project["dependencies"]:
        inner = re.fullmatch(r"implicore\[(.+)\]", line)
        if inner:
            for name in inner[1].split(","):
                found |= requirements(name)
        else:
            found.add(re.split(r"[<>=;\[ ]", line)[0])
    return found


COPYLEFT = re.compile(r"(?<!L)GPL|(?<!Lesser )General Public License", re.I)
INSTALLED_ONLY = {"scapy"}
"""Copyleft packages that another one installs and that nothing here imports: the README says so."""


def licence(name: str) -> str:
    """What a package states as its licence; a whole text, of bundled files too, is left out."""
    fields = [metadata(name).get(field) or "" for field in ("License-Expression", "License")]
    stated = [text for text in fields if len(text.splitlines()) == 1]
    return "; ".join([*stated, *(metadata(name).get_all("Classifier") or ())])


def test_no_copyleft_package_is_imported():
    """Of what the extras of a user install, and what that requires."""
    extras = (None, "train", "hw", "sim", "synth", "demo", "fpga", "sweep", "check")
    waiting, installed = set().union(*map(requirements, extras)), {}
    while waiting:
        name = waiting.pop()
        try:
            installed[name] = licence(name)
        except PackageNotFoundError:
            continue  # for another version of Python
        lines = [line for line in requires(name) or () if "extra ==" not in line]
        waiting |= {re.split(r"[^\w.-]", line)[0] for line in lines} - installed.keys()
    assert {"numpy", "torch", "lark", "cocotb-bus"} <= installed.keys()
    assert {name for name, stated in installed.items() if COPYLEFT.search(stated)} == INSTALLED_ONLY
    for folder in ("src", *FOLDERS, "bench"):
        for path in (ROOT / folder).rglob("*.py"):
            assert not re.search(r"^\s*(import|from) scapy", path.read_text("utf-8"), re.M), path


def test_inspect_and_render_work_without_extras(installed, folder):
    run(installed / "implicore", "inspect", "small.inr", cwd=folder)
    run(installed / "implicore", "render", "small.inr", "-o", "small.nii.gz", cwd=folder)


@pytest.mark.parametrize(
    "command",
    [
        "fit -o new.model",
        "generate -o verilog",
        "simulate small.inr --config small.toml",
        "synth -o synth --config small.toml",
        "synth -o synth --config small.toml --target ecp5",
        "sweep sweep.toml -o sweep",
        "demo -o demo",
    ],
)
def test_missing_extra_is_named(installed, folder, command):
    done = subprocess.run(
        [installed / "implicore", *command.split()], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    subcommand = command.split()[0]
    (line,) = done.stderr.splitlines()
    found = re.fullmatch(
        rf"implicore {subcommand}: (.+?)(?: is)?(?: not installed)?: (?:install it with )?"
        r"pip install 'implicore\[([\w,]+)\]'\.",
        line,
    )
    assert found, line
    packages, extras = (group.split(",") for group in found.groups())
    brought = set().union(*map(requirements, extras))
    # "fit needs torch, ...": import names, of which some are not those of the distributions.
    imported = {package.split()[-1].split(".")[0] for package in packages}
    assert imported <= {IMPORTED_AS.get(name, name.replace("-", "_")) for name in brought}


def works_without_torch(python, folder):
    """With that Python, every step after compiling works: Verilog, simulation and gates."""
    small = ("--config", "small.toml", "--quiet")
    assert run(python, "-c", WITHOUT_TORCH, "check", cwd=folder) == ""
    for command in (
        ("generate", "-o", "verilog", *small, "--tests", "--program", "small.inr"),
        ("simulate", "small.inr", *small, "--simulator", "icarus", "--points", "3"),
        ("synth", "-o", "gates", *small, "--target", "generic"),
    ):
        run(python, "-c", WITHOUT_TORCH, *command, cwd=folder)
    assert (folder / "verilog" / "implicore.v").is_file()
    assert (folder / "gates" / "report.json").is_file()


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # an import of it fails, wherever it lies
from importlib.util import find_spec
from implicore.cli import main
if sys.argv[1] == "check":
    assert find_spec("torch") is None
else:
    sys.exit(main(sys.argv[1:]))
"""


def test_subcommands_on_programs_need_no_torch(folder):
    works_without_torch(sys.executable, folder)


@pytest.mark.slow
def test_wheel_with_the_extra_synth(wheel, folder, tmp_path_factory):
    """In an environment with only the wheel and that extra, torch is not installed."""
    place = tmp_path_factory.mktemp("synth")
    run(sys.executable, "-m", "venv", "--without-pip", place / "venv", cwd=place)
    python = place / "venv" / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "-q", "--python", python, "install", "--no-compile")
    run(*pip, "-c", ROOT / "constraints.txt", f"{wheel}[synth]", cwd=place)
    run(python, "-c", "import importlib.util as u; assert u.find_spec('torch') is None", cwd=place)
    works_without_torch(python, folder)
    run(python, "-m", "implicore", "simulate", "small.inr", "--config", "small.toml", cwd=folder)
    command = ("synth", "-o", "osu", "--config", "small.toml", "--program", "small.inr", "--quiet")
    run(python, "-m", "implicore", *command, cwd=folder)
    assert "nj_per_voxel" in (folder / "osu" / "report.json").read_text()
