"""The whole path on the bundled MRI, verb by verb, as a user would go it.

Belongs to the command line: it calls nothing but verbs. Each is skipped when it has been carried
out before, with the same arguments, on the same files, by the same program, and what it wrote is
still there.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from . import __version__
from .atomic import atomic_write, make_folder, write_json
from .errors import BadInput

SECONDS = 60
"""Of training."""

PLANE = "axial:21"
"""A slice of the bundled MRI, in mm, through the middle of the brain."""

MACHINE = "--config medium --set networks=demo"
"""16 x 16 processing elements, with memories for this network and not for larger ones."""

PACKAGES = (
    *("torch", "amaranth", "cocotb_tools", "cocotbext.axi", "pyosys", "liberty"),
    *("distributed", "pandas", "pyarrow", "moocore", "plotly", "matplotlib", "jinja2"),
)
"""What the verbs import, all brought by the extra ``demo``."""

SWEEP = """\
# A small sweep: which size of the array?
target = "{target}"
image = "scan.nii.gz"
synthesize = "none"

[grid]
rows = [4, 6, 8, 12, 16, 24, 32]
columns = [4, 6, 8, 12, 16, 24, 32]
program = ["mri.inr"]
"""
"""One format, of which the leaf figures take two minutes: several would be another story."""


@dataclass(frozen=True)
class Step:
    """A verb with its arguments.

    Attributes
    ----------
    name : str
        The verb, and what tells it from another step of the same verb.
    title : str
        What it does, for people.
    arguments : tuple of str
        ``{}`` stands for the demo's folder.
    inputs, outputs : tuple of str
        Files and folders, relative to the demo's.
    draft : str
        What an interrupted run leaves to be gone on with, if not its outputs.
    """

    name: str
    title: str
    arguments: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    draft: str = ""

    def command(self, folder: Path) -> list[str]:
        """The arguments of ``implicore``."""
        return [argument.replace("{}", str(folder)) for argument in self.arguments]


def steps(target: str, library: Path) -> list[Step]:
    """The demo, synthesized for a target whose cells are in a library."""

    def step(name, title, arguments, inputs, outputs, draft=""):
        needed = [*inputs.split(), *([str(library)] if target in arguments.split() else [])]
        return Step(
            name, title, tuple(arguments.split()), tuple(needed), tuple(outputs.split()), draft
        )

    return [
        step(
            "fit",
            f"train a network on the scan, {SECONDS} seconds",
            f"fit {{}}/scan.nii.gz -o {{}}/mri.model --preset demo --seconds {SECONDS} --resume",
            "scan.nii.gz",
            "mri.model",
            "mri.model.part",
        ),
        step(
            "compile",
            "turn it into integers",
            "compile {}/mri.model -o {}/mri.inr --formats w8a12",
            "mri.model scan.nii.gz",
            "mri.inr",
        ),
        step(
            "render",
            "decode the whole volume with the golden model",
            "render {}/mri.inr -o {}/decoded.nii.gz --reference {}/scan.nii.gz",
            "mri.inr scan.nii.gz",
            "decoded.nii.gz",
        ),
        step(
            "render_zoom",
            "decode one slice at three times the resolution",
            f"render {{}}/mri.inr -o {{}}/zoom.png --plane {PLANE} --scale 3",
            "mri.inr",
            "zoom.png",
        ),
        step(
            "generate",
            "write an accelerator of 16 x 16 processing elements as Verilog",
            f"generate -o {{}}/verilog {MACHINE}",
            "",
            "verilog",
        ),
        step(
            "simulate_icarus",
            "decode some points on the Verilog of a 4 x 4 array, under Icarus",
            "simulate {}/mri.inr --config tiny --simulator icarus --points 4",
            "mri.inr",
            "",
        ),
        step(
            "simulate_verilator",
            "decode some points on the Verilog of an 8 x 8 array, under Verilator",
            "simulate {}/mri.inr --config small --simulator verilator --points 32",
            "mri.inr",
            "",
        ),
        step(
            "simulate",
            "decode a whole slice on the Verilog of the 16 x 16 array, with the fast simulator",
            f"simulate {{}}/mri.inr {MACHINE} --simulator fast --plane {PLANE} "
            "--source {}/scan.nii.gz --planes {}/slice --timeline {}/timeline.csv",
            "mri.inr scan.nii.gz",
            "slice timeline.csv",
        ),
        step(
            "synth",
            "map the 16 x 16 array to cells: area, clock, and energy from the activity of a decode",
            f"synth -o {{}}/synth {MACHINE} --target {target} --program {{}}/mri.inr",
            "mri.inr",
            "synth",
        ),
        step(
            "sweep",
            "predict what other sizes of the array would take",
            "sweep {}/sweep.toml -o {}/sweep --resume",
            "sweep.toml mri.inr scan.nii.gz",
            "sweep",
        ),
    ]


def demo(
    folder: str | Path,
    carry_out: Callable[[list[str]], tuple[int, dict]],
    *,
    quiet: bool = False,
) -> tuple[int, dict]:
    """Go the whole path and write the page.

    Parameters
    ----------
    folder : path-like
        Made if there is none. What an earlier run has left there is gone on from.
    carry_out : function of a verb's arguments
        Returns its exit code and its metrics.
    quiet : bool
        Print nothing.

    Returns
    -------
    int
        0, or the exit code of the step that said no: then those after it are not done.
    dict
        The metrics of each step, by its name.

    Raises
    ------
    BadInput
        A tool is missing: found out before anything is done. Or a step cannot be carried out.
    """

    def say(text: str = "") -> None:
        if not quiet:
            print(text, flush=True)

    target, library = check_tools()
    from .synth.report.demo import RECORD, demo_page, summary

    path = steps(target, library)
    folder = make_folder(folder)
    if not (folder / RECORD).exists() and any(folder.iterdir()):
        raise BadInput(f"{folder} holds something else than a demo: name a folder of its own.")
    began = time.perf_counter()
    program = _program()
    record = {"version": __version__, "target": target, **_read(folder / RECORD)}
    write_json(folder / RECORD, record)
    _write_inputs(folder, target)
    metrics = {}
    for number, step in enumerate(path, 1):
        command = step.command(folder)
        say(f"[{number}/{len(path)}] {step.title}")
        say(f"  $ implicore {shlex.join(command)}")
        key = _digest(program, command, [_content(folder / name) for name in step.inputs])
        done = record["steps"].get(step.name)
        if done and done["key"] == key and done["outputs"] == _outputs(folder, step):
            say("  done before")
        else:
            if record["begun"] != key:  # what lies there is not to be gone on with
                for name in filter(None, (*step.outputs, step.draft)):
                    _remove(folder / name)
            record["begun"] = key
            record["steps"].pop(step.name, None)
            write_json(folder / RECORD, record)  # from here on nothing vouches for its outputs
            with _clock(step.name, quiet):
                started = time.perf_counter()
                code, figures = carry_out([*command, *(["--quiet"] if quiet else [])])
            metrics[step.name] = figures
            if code:
                return code, metrics
            done = {
                "title": step.title,
                "command": f"implicore {shlex.join(command)}",
                "seconds": round(time.perf_counter() - started, 1),
                "key": key,
                "outputs": _outputs(folder, step),
                "metrics": figures,
            }
            record["steps"][step.name] = done
            write_json(folder / RECORD, record)
        metrics[step.name] = done["metrics"]
    page = demo_page(folder)
    say()
    for name, figure in summary(metrics, folder):
        say(f"  {name:24} {figure}")
    say(f"  {'page':24} {page}")
    say(f"  {'time':24} {time.perf_counter() - began:.0f} s")
    return 0, metrics


def check_tools() -> tuple[str, Path]:
    """The target to synthesize for and its library; BadInput names what is missing, and its cure.

    The target is IHP's if ``PDK_ROOT`` says where it lies, else the one that the system brings.
    """
    missing = [package for package in PACKAGES if not _installed(package)]
    if missing:
        raise BadInput(f"The demo needs {', '.join(missing)}: pip install 'implicore[demo]'.")
    from .sim.simulators import find_icarus, find_verilator
    from .synth.target import find
    from .synth.timing import find_sta

    find_icarus()
    find_verilator()
    find_sta()
    target = "ihp-sg13g2" if os.environ.get("PDK_ROOT") else "osu018"
    return target, find(target).liberty


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # not even what it is a part of
        return False


SILENT = ("generate", "simulate", "synth")
"""Verbs that may take long and show no bar of their own."""


@contextmanager
def _clock(name: str, quiet: bool) -> Iterator[None]:
    """The seconds that a step takes, counted on the screen where nothing else moves there."""
    if quiet or not name.startswith(SILENT) or not sys.stderr.isatty():
        yield
        return
    from contextlib import redirect_stdout

    from tqdm import tqdm
    from tqdm.contrib import DummyTqdmFile

    ended = threading.Event()
    with tqdm(bar_format="  {elapsed}", leave=False) as bar:

        def tick():
            while not ended.wait(1):
                bar.refresh()

        ticker = threading.Thread(target=tick, daemon=True)
        ticker.start()
        try:
            with redirect_stdout(DummyTqdmFile(sys.stdout)):  # lines go above the clock
                yield
        finally:
            ended.set()
            ticker.join()


def _write_inputs(folder: Path, target: str) -> None:
    """The scan and the sweep's description, as a user would have them."""
    from .model.bundled import bundled_mri

    for name, content in (
        ("scan.nii.gz", bundled_mri().read_bytes()),
        ("sweep.toml", SWEEP.format(target=target).encode()),
    ):
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            with atomic_write(path) as temporary:
                temporary.write_bytes(content)


def _read(path: Path) -> dict:
    """What the record says was done and begun; nothing if there is none, or it is damaged."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        whole = {"title", "command", "seconds", "key", "outputs", "metrics"}
        steps = {name: one for name, one in record["steps"].items() if whole <= set(one)}
        return {"begun": record["begun"], "steps": steps}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {"begun": "", "steps": {}}


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _outputs(folder: Path, step: Step) -> dict[str, str]:
    return {name: _content(folder / name) for name in step.outputs}


def _content(path: Path) -> str:
    """A digest of a file, or of all files of a folder; empty if there is neither."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    if not path.is_dir():
        return ""
    files = sorted(one for one in path.rglob("*") if one.is_file())
    return _digest([[str(one.relative_to(path)), _content(one)] for one in files])


def _digest(*content) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _program() -> str:
    """A digest of implicore itself: another version may find other figures.

    But for what writes the page, which is written anew each time.
    """
    import implicore.hw
    import implicore.model
    import implicore.sim
    import implicore.synth

    digests = []
    for package in (implicore, implicore.hw, implicore.model, implicore.sim, implicore.synth):
        folder = Path(package.__file__).parent
        for path in sorted(folder.rglob("*")):
            ours = path.suffix in (".py", ".cpp", ".h", ".toml")
            if ours and "report" not in path.relative_to(folder).parts:
                digests.append(_content(path))
    return _digest(digests)
