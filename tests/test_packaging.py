"""What a user gets: from a wheel in a fresh environment, and from an editable installation."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
FOLDERS = ("hw", "model", "sim", "synth")

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
    """Run a command, without what pytest's own environment would lend it; its output."""
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
    """A fresh environment with the wheel and its dependencies: the folder of its commands."""
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


def test_wheel_holds_the_packages_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = set()
    for package in SETUPTOOLS["packages"]:
        folder = ROOT / SETUPTOOLS["package-dir"][package]
        within = package.replace(".", "/")
        for pattern in ("*.py", "*.cpp", "*.h", "targets/*.toml", "templates/*"):
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


def test_wheel_does_without_torch(installed, tmp_path):
    code = "import importlib.util, implicore.cli; assert importlib.util.find_spec('torch') is None"
    run(installed / "python", "-c", code, cwd=tmp_path)
    assert "usage: implicore" in run(installed / "implicore", "--help", cwd=tmp_path)
    assert "usage: implicore" in run(
        installed / "python", "-m", "implicore", "--help", cwd=tmp_path
    )


def test_wheel_leaves_no_folder_of_ours_at_the_top(installed):
    (packages,) = (installed.parent / "lib").glob("python*/site-packages")
    assert (packages / "implicore" / "model").is_dir()
    tops = {path.stem for path in packages.iterdir() if path.suffix in ("", ".py", ".pth")}
    assert "implicore" in tops
    assert not tops & {*FOLDERS, "src"}


def test_this_environment_likewise(tmp_path):
    """`make setup` installs in editable mode, where the package-dir map must hold as well."""
    place = run(sys.executable, "-c", CHECK, cwd=tmp_path).strip()
    assert Path(place) == ROOT / "src" / "implicore"
    command = Path(sysconfig.get_path("scripts")) / "implicore"
    assert "usage: implicore" in run(command, "--help", cwd=tmp_path)


def test_system_packages_in_one_sentence(tmp_path):
    """No root, no sudo, a package missing: one sentence that names it, exit 2."""
    stand_ins = {"dpkg-query": "exit 1", "sudo": "exit 1", "id": "echo 1000", "apt-get": "exit 9"}
    for name, body in stand_ins.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["sh", ROOT / "tools" / "system-packages.sh", "setup", "test"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("mricron-data invesalius-examples qflow-tech-osu018 chromium\n")
