"""What the packages export: it resolves, it is fast, it is documented."""

import importlib
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parent.parent / "docs"
PACKAGES = ("implicore", *(f"implicore.{name}" for name in ("model", "hw", "sim", "synth")))


def loaded_by(code: str) -> set[str]:
    """Names of the modules that a fresh interpreter has loaded after this code."""
    code += "\nimport json, sys\nprint(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("package", PACKAGES)
def test_every_export_resolves(package):
    module = importlib.import_module(package)
    assert module.__all__ == sorted(set(module.__all__))
    for name in module.__all__:
        assert getattr(module, name) is not None
        assert name in dir(module)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_export_has_a_docstring(package):
    module = importlib.import_module(package)
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isroutine(value):
            assert inspect.getdoc(value), f"{package}.{name}"


def unannotated(function) -> list[str]:
    """Parameters without an annotation, and ``return``."""
    signature = inspect.signature(function)
    found = [
        one.name
        for one in signature.parameters.values()
        if one.annotation is one.empty and one.name not in ("self", "cls")
    ]
    constructor = function.__name__ == "__init__"
    return found + ["return"] * (signature.return_annotation is signature.empty and not constructor)


def functions(value):
    """The functions behind an export: itself, or a class's public methods and properties."""
    if not inspect.isclass(value):
        yield from [value] if inspect.isfunction(value) else []
        return
    for name, member in vars(value).items():
        if (name.startswith("_") and name != "__init__") or name == "elaborate":
            continue
        member = getattr(member, "__func__", member)
        member = getattr(member, "fget", member)
        # A protocol has a constructor of the library's own.
        if inspect.isfunction(member) and member.__module__.startswith("implicore"):
            yield member


@pytest.mark.parametrize("package", PACKAGES)
def test_every_export_is_annotated(package):
    module = importlib.import_module(package)
    checked = [one for name in module.__all__ for one in functions(getattr(module, name))]
    assert checked
    assert {one.__qualname__: unannotated(one) for one in checked if unannotated(one)} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_exports_survive_the_import_of_all_submodules(package):
    # A module named like an export would take its place in the package.
    module = importlib.import_module(package)
    for name in module.__all__:
        assert not inspect.ismodule(getattr(module, name)), f"{package}.{name}"
        assert importlib.util.find_spec(f"{package}.{name}") is None, f"{package}.{name}"


def test_unknown_names_raise_attribute_error():
    with pytest.raises(AttributeError, match="nothing_like_this"):
        importlib.import_module("implicore").nothing_like_this  # noqa: B018 - it raises


def test_import_is_light():
    assert not loaded_by("import implicore") & {"numpy", "torch", "amaranth"}
    everything = loaded_by("import implicore.model, implicore.hw, implicore.sim, implicore.synth")
    assert not everything & {"numpy", "torch", "amaranth"}


def test_only_training_loads_torch():
    assert "torch" not in loaded_by("from implicore.model import Renderer, compile_model, Volume")
    assert "torch" in loaded_by("from implicore.model import fit")


def test_the_reference_lists_every_package():
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    assert tuple(re.findall(r"automodule:: (\S+)", text)) == PACKAGES
