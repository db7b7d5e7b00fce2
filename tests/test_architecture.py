"""Which layer may import which, read from the source, so that lazy imports count as well.

The layers, each seeing only those named beside it:

    implicore (src)   stdlib (tomli stands in for tomllib in Python 3.10), numpy, itself
    model, hw         implicore              never each other
    sim               implicore, model, hw
    synth             implicore, hw, sim; but for what is above it:
    synth/explore     implicore, model, hw, sim, synth: from the trained network to silicon
    synth/report      the same, and synth/explore
    cli, demo         everything, inside functions only; seen by each other and __main__ alone
"""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"core": "src/implicore", "model": "model", "hw": "hw", "sim": "sim", "synth": "synth"}
MAY_IMPORT = {
    "core": {"core"},
    "model": {"core", "model"},
    "hw": {"core", "hw"},
    "sim": {"core", "model", "hw", "sim"},
    "synth": {"core", "hw", "sim", "synth"},
    "explore": {"core", "model", "hw", "sim", "synth", "explore"},
    "report": {"core", "model", "hw", "sim", "synth", "explore", "report"},
    "cli": {"core", "cli"},
}
UPPER = ("model", "hw", "sim", "synth")
ABOVE_SYNTH = ("explore", "report")
COMMAND_LINE = ("cli", "demo")


def imports(tree: ast.Module, package: str) -> list[tuple[int, str, bool]]:
    """List every import as (line, absolute dotted name, whether it is inside a function)."""
    found = []

    def visit(node, inside):
        if isinstance(node, ast.Import):
            found.extend((node.lineno, alias.name, inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                parents = parents[: len(parents) - node.level + 1]
                base = ".".join(parents + ([node.module] if node.module else []))
            # `from implicore import model` names a package, `from x.y import f` a function:
            # both are covered by looking at the longest dotted name.
            found.extend((node.lineno, f"{base}.{alias.name}", inside) for alias in node.names)
        inside = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, inside)

    visit(tree, False)
    return found


def layer_of(name: str) -> str | None:
    """Return the layer of an absolute dotted name; None outside implicore."""
    parts = name.split(".")
    if parts[0] in UPPER:  # the folder's bare name works nowhere but in the repository's root
        return parts[0]
    if parts[0] != "implicore":
        return None
    second = parts[1] if len(parts) > 1 else ""
    if second == "synth" and len(parts) > 2 and parts[2] in ABOVE_SYNTH:
        return parts[2]
    if second in COMMAND_LINE:
        return "cli"
    return second if second in UPPER else "core"


def offences(layer: str, module: str, source: str) -> list[str]:
    """List the imports that a module of that layer must not have, one sentence each.

    `module` is the dotted name of the module, a package's `__init__` included.
    """
    package = module.rpartition(".")[0]
    found = []
    for line, name, inside in imports(ast.parse(source), package):
        target = layer_of(name)
        where = f"{module}:{line}: {name}"
        if target is None:
            basic = name.split(".")[0] in sys.stdlib_module_names | {"numpy", "tomli"}
            basic |= (module, name) == ("implicore.__init__", "lazy_loader")
            if not basic and (layer == "core" or (layer == "cli" and not inside)):
                found.append(f"{where} is neither stdlib nor numpy")
        elif name.split(".")[0] in UPPER:
            found.append(f"{where} is not the name of an installed package")
        elif target == "cli":
            if module != "implicore.__main__" and layer != "cli":
                found.append(f"{where} imports the command line")
        elif target in MAY_IMPORT[layer]:
            pass
        elif layer == "cli":
            if not inside:
                found.append(f"{where} is imported outside a function")
        else:
            found.append(f"{where} is above or beside {layer}")
    return found


def modules():
    for layer, folder in FOLDERS.items():
        package = "implicore" if layer == "core" else f"implicore.{layer}"
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            name = ".".join((package, *parts))
            yield pytest.param(layer_of(name) or layer, name, path, id=name)


@pytest.mark.parametrize(("layer", "module", "path"), list(modules()))
def test_imports(layer, module, path):
    assert offences(layer, module, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("layer", "module", "source"),
    [
        ("model", "implicore.model.x", "import implicore.hw"),
        ("model", "implicore.model.x", "from implicore import hw"),
        ("model", "implicore.model.x", "from ..hw import top"),
        ("model", "implicore.model.x", "from .. import hw"),
        ("model", "implicore.model.__init__", "from ..hw.top import Top"),
        ("model", "implicore.model.x", "def f():\n    from implicore.hw.top import Top"),
        ("model", "implicore.model.x", "from implicore.sim import runner"),
        ("hw", "implicore.hw.x", "import implicore.model.golden as golden"),
        ("hw", "implicore.hw.x", "class A:\n    def f(self):\n        import implicore.model"),
        ("hw", "implicore.hw.x", "import model"),
        ("hw", "implicore.hw.x", "try:\n    import implicore.synth\nexcept ImportError:\n    pass"),
        ("sim", "implicore.sim.x", "from implicore.synth import sweep"),
        ("synth", "implicore.synth.x", "from implicore.model import golden"),
        ("synth", "implicore.synth.x", "from .explore import sweep"),
        ("synth", "implicore.synth.x", "def f():\n    from implicore.synth.explore import sweep"),
        ("explore", "implicore.synth.explore.x", "from ..report import page"),
        ("explore", "implicore.synth.explore.x", "from implicore import cli"),
        ("sim", "implicore.sim.x", "from implicore import cli"),
        ("core", "implicore.formats", "from implicore.cli import main"),
        ("core", "implicore.formats", "from . import cli"),
        ("core", "implicore.formats", "from .demo import demo"),
        ("synth", "implicore.synth.x", "from implicore.demo import RECORD"),
        ("cli", "implicore.demo", "from .sim import simulators"),
        ("core", "implicore.formats", "import implicore.model.network"),
        ("core", "implicore.formats", "import torch"),
        ("core", "implicore.formats", "def f():\n    import scipy.ndimage"),
        ("core", "implicore.__main__", "from implicore.model import network"),
        ("cli", "implicore.cli", "from implicore.model import network"),
        ("cli", "implicore.cli", "import nibabel"),
        ("cli", "implicore.cli", "if True:\n    from .model import network"),
    ],
)
def test_checker_finds_forbidden_imports(layer, module, source):
    assert len(offences(layer, module, source)) == 1


@pytest.mark.parametrize(
    ("layer", "module", "source"),
    [
        ("core", "implicore.formats", "import json\nimport numpy as np\nfrom .errors import E"),
        ("core", "implicore.__main__", "from implicore.cli import main"),
        ("core", "implicore.__main__", "from .cli import main"),
        (
            "model",
            "implicore.model.x",
            "import torch\nfrom .. import formats\nfrom . import y",
        ),
        ("hw", "implicore.hw.x", "import amaranth\nfrom ..formats import Formats"),
        ("sim", "implicore.sim.x", "from implicore import hw, model\nfrom ..model import golden"),
        ("synth", "implicore.synth.x", "from implicore.sim import runner\nimport implicore.hw.top"),
        (
            "explore",
            "implicore.synth.explore.x",
            "from implicore.model import golden\nfrom .. import asic\nfrom . import space",
        ),
        ("report", "implicore.synth.report.x", "from ..explore.metrics import METRICS"),
        ("cli", "implicore.cli", "def f():\n    from .demo import demo"),
        ("cli", "implicore.demo", "def f():\n    from .sim.simulators import find_icarus"),
        ("cli", "implicore.cli", "def f():\n    import nibabel\n    from .model import network"),
    ],
)
def test_checker_accepts_allowed_imports(layer, module, source):
    assert offences(layer, module, source) == []


def test_every_layer_has_files():
    assert {parameters.values[0] for parameters in modules()} == set(MAY_IMPORT)


AMARANTH_INTERNALS = re.compile(
    r"\b(_toolchain|_MustUse__\w+|_Component__\w+|_named_submodules|_anon_submodules"
    r"|_transforms_|_elaboratable_|(?:hdl|rtlil)\._\w+)\b"
)
"""Private names of Amaranth, which one file may use."""


def private_amaranth(source: str) -> list[str]:
    """Return what a source text uses of Amaranth's private interface."""
    found = AMARANTH_INTERNALS.findall(source)
    for _, name, _ in imports(ast.parse(source), "implicore.x"):
        first, *rest = name.split(".")
        found += [name] if first == "amaranth" and any(p.startswith("_") for p in rest) else []
    return found


def test_only_one_file_uses_amaranths_private_interface():
    sources = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for folder in ("src", *UPPER, "bench", "tests", "tools", "docs")
        for path in (ROOT / folder).rglob("*.py")
        if path != Path(__file__)
    }
    users = {name for name, source in sources.items() if private_amaranth(source)}
    assert users == {"hw/verilog/amaranth_internals.py"}


@pytest.mark.parametrize(
    "source",
    [
        "from amaranth._toolchain import yosys",
        "from amaranth.hdl._ir import Fragment",
        "import amaranth.hdl._ast",
        "component._MustUse__used = True",
        "rtlil._ir.PortDirection.Input",
    ],
)
def test_private_name_of_amaranth_is_detected(source):
    assert private_amaranth(source)


def undocumented(source: str) -> list[str]:
    """Public functions, methods and classes without a docstring, but for ``elaborate``."""
    found = []

    def visit(node, prefix=""):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                public = not child.name.startswith("_") and child.name != "elaborate"
                if public and ast.get_docstring(child) is None:
                    found.append(prefix + child.name)
                if isinstance(child, ast.ClassDef):
                    visit(child, f"{prefix}{child.name}.")

    visit(ast.parse(source))
    return found


@pytest.mark.parametrize(
    "path", sorted((ROOT / "hw").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_only_elaborate_has_no_docstring(path):
    """Ruff exempts hw/ from D102 for the sake of ``elaborate``; this holds the other methods."""
    assert undocumented(path.read_text(encoding="utf-8")) == []


def test_missing_docstring_is_detected():
    source = "class A:\n    def elaborate(self): ...\n    def _b(self): ...\n    def c(self): ...\n"
    assert undocumented(source) == ["A", "A.c"]
