"""The steps of the demo and the files that they start from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..atomic import atomic_write

SECONDS = 60
"""Training time of each network."""

PLANE = "axial:23"
"""Middle slice of the bundled MRI, by its position in mm."""

PATCH, POINT = "patch", "demo"
"""Presets of the two networks: one decodes patches of voxels, the other single voxels."""

PATCH_ACCELERATOR = f"--config {PATCH} --set gate_zeros=true"
POINT_ACCELERATOR = f"--config medium --set networks={POINT} --set gate_zeros=true"
"""16 x 16 processing elements with memories sized for one network only."""

SWEEP = """\
# A small sweep over the size of the array.
target = "{target}"
image = "scan.nii.gz"
synthesize = "none"

[grid]
rows = [4, 6, 8, 12, 16, 24, 32]
columns = [4, 6, 8, 12, 16, 24, 32]
gate_zeros = [true]
program = ["patch.inr"]
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
            f"train a network of patches on the scan for {SECONDS} seconds",
            f"fit {{}}/scan.nii.gz -o {{}}/patch.model --preset {PATCH} --seconds {SECONDS} "
            "--resume",
            "scan.nii.gz",
            "patch.model",
            "patch.model.part",
        ),
        step(
            "compile",
            "compile it to integers",
            "compile {}/patch.model -o {}/patch.inr --formats w8a12",
            "patch.model scan.nii.gz",
            "patch.inr",
        ),
        step(
            "render",
            "decode the whole volume with the golden model",
            "render {}/patch.inr -o {}/patch.nii.gz --image {}/scan.nii.gz",
            "patch.inr scan.nii.gz",
            "patch.nii.gz",
        ),
        step(
            "fit_point",
            "for comparison, train a network that decodes single voxels, as long",
            f"fit {{}}/scan.nii.gz -o {{}}/point.model --preset {POINT} --seconds {SECONDS} "
            "--resume",
            "scan.nii.gz",
            "point.model",
            "point.model.part",
        ),
        step(
            "compile_point",
            "compile it to integers",
            "compile {}/point.model -o {}/point.inr --formats w8a12",
            "point.model scan.nii.gz",
            "point.inr",
        ),
        step(
            "render_point",
            "decode the whole volume with the golden model",
            "render {}/point.inr -o {}/point.nii.gz --image {}/scan.nii.gz",
            "point.inr scan.nii.gz",
            "point.nii.gz",
        ),
        step(
            "render_zoom",
            "decode one slice at three times the resolution",
            f"render {{}}/point.inr -o {{}}/zoom.png --plane {PLANE} --scale 3",
            "point.inr",
            "zoom.png",
        ),
        step(
            "generate",
            "write an accelerator of 16 x 16 processing elements as Verilog",
            f"generate -o {{}}/verilog {PATCH_ACCELERATOR}",
            "",
            "verilog",
        ),
        step(
            "simulate_icarus",
            "decode some voxels of the second network on a 4 x 4 array with Icarus",
            "simulate {}/point.inr --config tiny --simulator icarus --points 4",
            "point.inr",
            "",
        ),
        step(
            "simulate_verilator",
            "decode some patches of the first network on an 8 x 8 array with Verilator",
            f"simulate {{}}/patch.inr --config small --set networks={PATCH} "
            "--simulator verilator --points 32",
            "patch.inr",
            "",
        ),
        step(
            "simulate",
            "decode the patches of the middle slice on the Verilog of the 16 x 16 array with the "
            "compiled simulator",
            f"simulate {{}}/patch.inr {PATCH_ACCELERATOR} --simulator fast "
            "--image {}/scan.nii.gz --pictures {}/slice --timeline {}/timeline.csv",
            "patch.inr scan.nii.gz",
            "slice timeline.csv",
        ),
        step(
            "synth",
            "map the 16 x 16 array to cells: area, clock, and the energy of a real decode",
            f"synth -o {{}}/synth {PATCH_ACCELERATOR} --target {target} --program {{}}/patch.inr",
            "patch.inr",
            "synth",
        ),
        step(
            "synth_point",
            "map an array of the same size for the second network, and decode on it",
            f"synth -o {{}}/synth_point {POINT_ACCELERATOR} --target {target} "
            "--program {}/point.inr",
            "point.inr",
            "synth_point",
        ),
        step(
            "sweep",
            "predict area, speed and energy of other array sizes",
            "sweep {}/sweep.toml -o {}/sweep --resume",
            "sweep.toml patch.inr scan.nii.gz",
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
