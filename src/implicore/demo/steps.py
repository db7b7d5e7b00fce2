"""The steps of the demo and the files that they start from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..atomic import atomic_write

SECONDS = 60
"""Training time."""

PLANE = "axial:21"
"""Position in mm of a slice of the bundled MRI, through the middle of the brain."""

ACCELERATOR = "--config medium --set networks=demo"
"""16 x 16 processing elements with memories sized for the demo's network only."""

SWEEP = """\
# A small sweep over the size of the array.
target = "{target}"
image = "scan.nii.gz"
synthesize = "none"

[grid]
rows = [4, 6, 8, 12, 16, 24, 32]
columns = [4, 6, 8, 12, 16, 24, 32]
program = ["mri.inr"]
"""
"""One number format only: the unit costs of each further format take two minutes."""


@dataclass(frozen=True)
class Step:
    """One subcommand with its arguments.

    Attributes
    ----------
    name : str
        The subcommand, with a suffix if the demo uses it more than once.
    title : str
        What the step does, for the screen.
    arguments : tuple of str
        Arguments of ``implicore``; ``{}`` stands for the demo's folder.
    inputs, outputs : tuple of str
        Files and folders, relative to the demo's folder.
    draft : str
        File from which an interrupted step continues, if that is not one of its outputs.
    """

    name: str
    title: str
    arguments: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    draft: str = ""

    def command(self, folder: Path) -> list[str]:
        """Return the arguments of ``implicore`` for a demo in ``folder``."""
        return [argument.replace("{}", str(folder)) for argument in self.arguments]


def steps(target: str, library: Path) -> list[Step]:
    """Return the steps of the demo in order.

    Parameters
    ----------
    target : str
        The target to synthesize for.
    library : Path
        Liberty file of the target, an input of the step that synthesizes.
    """

    def step(name, title, arguments, inputs, outputs, draft=""):
        needed = [*inputs.split(), *([str(library)] if target in arguments.split() else [])]
        return Step(
            name, title, tuple(arguments.split()), tuple(needed), tuple(outputs.split()), draft
        )

    return [
        step(
            "fit",
            f"train a network on the scan for {SECONDS} seconds",
            f"fit {{}}/scan.nii.gz -o {{}}/mri.model --preset demo --seconds {SECONDS} --resume",
            "scan.nii.gz",
            "mri.model",
            "mri.model.part",
        ),
        step(
            "compile",
            "compile it to integers",
            "compile {}/mri.model -o {}/mri.inr --formats w8a12",
            "mri.model scan.nii.gz",
            "mri.inr",
        ),
        step(
            "render",
            "decode the whole volume with the golden model",
            "render {}/mri.inr -o {}/decoded.nii.gz --image {}/scan.nii.gz",
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
            f"generate -o {{}}/verilog {ACCELERATOR}",
            "",
            "verilog",
        ),
        step(
            "simulate_icarus",
            "decode some points on the Verilog of a 4 x 4 array with Icarus",
            "simulate {}/mri.inr --config tiny --simulator icarus --points 4",
            "mri.inr",
            "",
        ),
        step(
            "simulate_verilator",
            "decode some points on the Verilog of an 8 x 8 array with Verilator",
            "simulate {}/mri.inr --config small --simulator verilator --points 32",
            "mri.inr",
            "",
        ),
        step(
            "simulate",
            "decode a whole slice on the Verilog of the 16 x 16 array with the compiled simulator",
            f"simulate {{}}/mri.inr {ACCELERATOR} --simulator fast --plane {PLANE} "
            "--image {}/scan.nii.gz --pictures {}/slice --timeline {}/timeline.csv",
            "mri.inr scan.nii.gz",
            "slice timeline.csv",
        ),
        step(
            "synth",
            "map the 16 x 16 array to cells: area, clock, and the energy of a real decode",
            f"synth -o {{}}/synth {ACCELERATOR} --target {target} --program {{}}/mri.inr",
            "mri.inr",
            "synth",
        ),
        step(
            "sweep",
            "predict area, speed and energy of other array sizes",
            "sweep {}/sweep.toml -o {}/sweep --resume",
            "sweep.toml mri.inr scan.nii.gz",
            "sweep",
        ),
    ]


def write_inputs(folder: Path, target: str) -> None:
    """Write the scan and the sweep's description, unless they are already there."""
    from ..model.bundled import bundled_mri

    for name, content in (
        ("scan.nii.gz", bundled_mri().read_bytes()),
        ("sweep.toml", SWEEP.format(target=target).encode()),
    ):
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            with atomic_write(path) as temporary:
                temporary.write_bytes(content)
