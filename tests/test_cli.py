"""The command line: the whole flow, its metrics, and one sentence for each error."""

import json
import os
import re
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from implicore.accelerator_config import ACCELERATORS
from implicore.cli import main, make_parser
from implicore.cli.renamed import RENAMED, with_current_names
from implicore.network_shape import NETWORKS
from implicore.program import Program
from implicore.stream import program_stream

pytest.importorskip("torch")

AFFINE = np.array([[0.9, 0.2, 0, -5], [-0.2, 0.9, 0, 3], [0, 0, 1.5, 1], [0, 0, 0, 1]], np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a scan, a model and a program, made by the commands."""
    folder = tmp_path_factory.mktemp("cli")
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in (14, 12, 10)), indexing="ij")
    data = (800 * np.sin(3 * x) * np.cos(2 * y - z) + 100).astype(np.int16)
    nib.save(nib.Nifti1Image(data, AFFINE), folder / "scan.nii.gz")
    run(
        *("fit", folder / "scan.nii.gz", "-o", folder / "scan.model", "--steps", 300),
        *("--width", 24, "--frequencies", 16, "--depth", 4, "--sigma", 0.7),
        *("--skips", "3", "--json", folder / "fit.json"),
    )
    run(
        *("compile", folder / "scan.model", "-o", folder / "scan.inr"),
        *("--json", folder / "compile.json"),
    )
    return folder


def run(*arguments, code: int = 0) -> None:
    assert main([*map(str, arguments), "--quiet"]) == code


def rejected(capsys, *arguments) -> str:
    """Run a command that must fail with one sentence on stderr and exit code 2."""
    assert main(list(map(str, arguments))) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith(f"implicore {arguments[0]}: "), captured.err
    assert lines[0].endswith(".")
    return lines[0].removeprefix(f"implicore {arguments[0]}: ")


def test_metrics_have_stable_names(folder):
    fit, compiled = (json.loads((folder / f"{v}.json").read_text()) for v in ("fit", "compile"))
    assert {"psnr_db", "ssim", "parameters", "bits_per_voxel", "seconds", "sigma"} <= set(fit)
    names = {"psnr_float_db", "psnr_db", "loss_db", "bytes", "accumulator_bits"}
    assert names <= set(compiled)
    assert fit["psnr_db"] > 25 and fit["sigma"] == 0.7
    assert compiled["bytes"] == (folder / "scan.inr").stat().st_size
    assert compiled["loss_db"] == compiled["psnr_float_db"] - compiled["psnr_db"]


def test_scale_one_returns_the_sources_geometry_and_type(folder):
    run(
        *("render", folder / "scan.inr", "-o", folder / "r.nii.gz"),
        *("--image", folder / "scan.nii.gz", "--json", folder / "r.json"),
    )
    source, made = nib.load(folder / "scan.nii.gz"), nib.load(folder / "r.nii.gz")
    assert np.array_equal(source.affine, made.affine) and made.get_data_dtype() == np.int16
    metrics = json.loads((folder / "r.json").read_text())
    compiled = json.loads((folder / "compile.json").read_text())
    assert metrics["voxels"] == 14 * 12 * 10 and metrics["voxels_per_second"] > 0
    assert metrics["psnr_db"] == pytest.approx(compiled["psnr_db"], abs=0.05)
    assert 0 < metrics["ssim"] <= 1


def test_any_scale_keeps_the_field_of_view(folder):
    run("render", folder / "scan.inr", "-o", folder / "k.nii", "--scale", 1.7)
    source, made = nib.load(folder / "scan.nii.gz"), nib.load(folder / "k.nii")
    assert made.shape == (24, 20, 17)
    for corner in np.ndindex(2, 2, 2):
        edges = [
            image.affine @ [*(np.array(corner) * image.shape - 0.5), 1] for image in (source, made)
        ]
        np.testing.assert_allclose(*edges, atol=1e-4)


@pytest.mark.parametrize("plane", ["axial:8", "coronal:3.5", "sagittal:-1"])
def test_planes_are_saved_as_pictures(folder, plane):
    run("render", folder / "scan.inr", "-o", folder / "p.png", "--plane", plane, "--scale", 3)
    picture = np.asarray(Image.open(folder / "p.png"))
    assert picture.ndim == 2 and min(picture.shape) > 20 and picture.std() > 20


def test_a_sheared_grid(folder):
    grid = {
        "shape": [5, 4, 3],
        "affine": [[1, 0.1, 0, 0], [0, 1, 0.2, 5], [0, 0, 1, 6], [0, 0, 0, 1]],
    }
    (folder / "grid.json").write_text(json.dumps(grid))
    run("render", folder / "scan.inr", "-o", folder / "g.nii", "--grid", folder / "grid.json")
    made = nib.load(folder / "g.nii")
    assert made.shape == (5, 4, 3)
    np.testing.assert_allclose(made.affine, grid["affine"], atol=1e-6)


def test_inspect_shows_both_kinds_of_file(folder, capsys):
    compiled = json.loads((folder / "compile.json").read_text())
    assert main(["inspect", str(folder / "scan.inr"), "--json", str(folder / "i.json")]) == 0
    text = capsys.readouterr().out
    assert re.search(r"(?m)^digest +[0-9a-f]{64}$", text) and "w8a12" in text
    shown = json.loads((folder / "i.json").read_text())
    assert shown["digest"] == compiled["digest"] and shown["voxels"] == [14, 12, 10]
    assert shown["low"] < 0 < shown["high"] and shown["dtype"] == "int16"
    assert main(["inspect", str(folder / "scan.model")]) == 0
    text = capsys.readouterr().out
    assert re.search(r"(?m)^depth +4$", text) and re.search(r"(?m)^sigma +0\.7$", text)


@pytest.mark.parametrize(
    ("options", "patch", "outputs"),
    [
        (("--patch", "2x3x2"), [2, 3, 2], 12),
        (("--preset", "patch"), [4, 4, 4], 64),
        (("--preset", "patch", "--patch", "1x1x1"), None, None),
    ],
)
def test_fit_of_patches(folder, options, patch, outputs):
    model, description = folder / "patches.model", folder / "patches.json"
    run("fit", folder / "scan.nii.gz", "-o", model, "--steps", 1, "--sigma", 1, *options)
    run("inspect", model, "--json", description)
    fields = json.loads(description.read_text())
    assert (fields.get("patch"), fields.get("outputs")) == (patch, outputs)
    cost = NETWORKS[options[1]].weights if patch == [4, 4, 4] else None
    assert cost is None or fields["multiply_accumulates_per_voxel"] == cost / 64


def test_quiet_prints_nothing(folder, capsys):
    arguments = ["render", str(folder / "scan.inr"), "-o", str(folder / "q.nii")]
    assert main(arguments) == 0
    assert "14 x 12 x 10 voxels" in capsys.readouterr().out
    assert main([*arguments, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("fit", "{}/none.nii", "-o", "{}/x"), r"/none\.nii does not exist\.$"),
        (("fit", "{}/scan.inr", "-o", "{}/x"), r"is neither a NIfTI file"),
        (("fit", "{}/scan.nii.gz", "-o", "{}/x", "--crop", "0:3"), r"The crop must have the form"),
        (("fit", "{}/scan.nii.gz", "-o", "{}/x", "--patch", "4x4"), r"A patch must have the form"),
        (
            ("fit", "{}/scan.nii.gz", "{}/scan.nii.gz", "-o", "{}/x", "--preset", "patch"),
            r"Patches of 4x4x4 voxels tile one image, not 2: fit several images with --patch 1x1x1",
        ),
        (("fit", "{}/scan.nii.gz", "-o", "{}/x", "--depth", "0"), r"Network depth must be an int"),
        (("fit", "{}/scan.nii.gz", "-o", "{}/x", "--seconds", "-1"), r"seconds"),
        (("fit", "{}/scan.nii.gz", "-o", "{}/x", "--sigma", "0"), r"[Ss]igma"),
        (("fit", "{}/scan.nii.gz", "-o", "{}/no/x", "--steps", "2"), r"cannot be written"),
        (("compile", "{}/scan.inr", "-o", "{}/x"), r"is not a model file"),
        (("compile", "{}/none", "-o", "{}/x"), r"cannot be read"),
        (("compile", "{}/scan.model", "-o", "{}/x", "--finetune", "-2"), r"--finetune must be"),
        (("compile", "{}/scan.model", "-o", "{}/x", "--image", "{}/no.nii"), r"does not exist"),
        (("compile", "{}/scan.model", "-o", "{}/x", "--formats", "w8a12c14"), r"accumulator_bits"),
        (("compile", "{}/scan.model", "-o", "{}/no/x"), r"cannot be written"),
        (("inspect", "{}/scan.nii.gz"), r"is not a model file of implicore"),
        (("inspect", "{}/none"), r"cannot be read: No such file"),
        (("inspect", "{}"), r"cannot be read"),
        (
            ("render", "{}/scan.model", "-o", "{}/x.nii"),
            r"is not a usable program: the file does not beg",
        ),
        (("render", "{}/scan.inr", "-o", "{}/x.jpg"), r"must end in \.nii, \.nii\.gz or \.png"),
        (("render", "{}/scan.inr", "-o", "{}/x.png"), r"A PNG shows one plane: add --plane"),
        (("render", "{}/scan.inr", "-o", "{}/x.nii", "--scale", "0"), r"The scale must be a posi"),
        (("render", "{}/scan.inr", "-o", "{}/x.nii", "--scale", "900"), r"The grid has \d+ voxels"),
        (
            ("render", "{}/scan.inr", "-o", "{}/x.png", "--plane", "axial"),
            r"a name and a position like axial:12\.5",
        ),
        (
            ("render", "{}/scan.inr", "-o", "{}/x.png", "--plane", "up:1"),
            r"must be one of sagittal",
        ),
        (("render", "{}/scan.inr", "-o", "{}/x.png", "--plane", "axial:99"), r"outside the image"),
        (("render", "{}/scan.inr", "-o", "{}/x.nii", "--grid", "{}/none"), r"cannot be read"),
        (
            ("render", "{}/scan.inr", "-o", "{}/x.nii", "--grid", "{}/fit.json"),
            r'must hold {"shape',
        ),
        (("render", "{}/scan.inr", "-o", "{}/no/x.nii"), r"cannot be written"),
        (
            (
                "render",
                "{}/scan.inr",
                "-o",
                "{}/x.nii",
                "--scale",
                "2",
                "--image",
                "{}/scan.nii.gz",
            ),
            r"The image has 14 x 12 x 10 voxels and the grid 28 x 24 x 20: compare at",
        ),
    ],
)
def test_bad_input_is_reported_in_one_sentence(folder, capsys, arguments, text):
    message = rejected(capsys, *(str(a).format(folder) for a in arguments))
    assert re.search(text, message), message
    assert not any((folder / name).exists() for name in ("x", "x.nii", "x.png", "x.jpg"))


def test_a_missing_training_image_is_named(folder, capsys, tmp_path):
    moved = tmp_path / "elsewhere.nii.gz"
    (folder / "scan.nii.gz").rename(moved)
    try:
        message = rejected(capsys, "compile", folder / "scan.model", "-o", tmp_path / "p.inr")
        assert "scan.nii.gz does not exist" in message and "--image" in message
        again = ("compile", folder / "scan.model", "-o", tmp_path / "p.inr", "--image", moved)
        run(*again)
        assert (tmp_path / "p.inr").read_bytes() == (folder / "scan.inr").read_bytes()
    finally:
        moved.rename(folder / "scan.nii.gz")


def test_invalid_options_exit_with_code_two(folder):
    for arguments in (["fit"], ["render"], [], ["compile", "m", "-o", "x", "--formats", "w8"]):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 2


def test_the_module_runs_as_a_command(folder):
    done = subprocess.run(
        [sys.executable, "-m", "implicore", "inspect", folder / "none"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"implicore inspect: \S+none cannot be read: .*\.\n", done.stderr)


OLD_NAMES = [
    (subcommand, old, new) for subcommand, names in RENAMED.items() for old, new in names.items()
]
REQUIRED = {"render": ["p.inr", "-o", "x.nii"], "simulate": ["p.inr"], "sweep": ["spec.toml"]}
"""Other arguments that a command needs besides the renamed option."""


@pytest.mark.parametrize("form", ["{} place", "{}=place"])
@pytest.mark.parametrize(("subcommand", "old", "new"), OLD_NAMES)
def test_an_old_option_name_warns_once_and_works(subcommand, old, new, form, capsys):
    command = [subcommand, *REQUIRED.get(subcommand, [])]
    arguments = with_current_names([*command, *form.format(old).split()])
    assert capsys.readouterr().err == (
        f"implicore {subcommand}: {old} is now {new}; "
        "the old name will be removed in version 0.3.\n"
    )
    due = make_parser().parse_args([*command, new, "place"])
    assert vars(make_parser().parse_args(arguments)) == vars(due)
    assert "place" in vars(due).values()


def test_current_names_are_left_alone(capsys):
    for words in ([], ["--help"], ["fit", "--folder", "x"], ["render", "--", "--reference"]):
        assert with_current_names(words) == words
    assert capsys.readouterr().err == ""


def test_old_names_are_not_in_help(capsys):
    for subcommand, old, new in OLD_NAMES:
        with pytest.raises(SystemExit):
            main([subcommand, "--help"])
        text = capsys.readouterr().out
        assert new in text and old not in text


def test_an_old_name_in_a_complete_run(folder, capsys):
    old = ("--reference", folder / "scan.nii.gz", "--json", folder / "old.json")
    run("render", folder / "scan.inr", "-o", folder / "old.nii", *old)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("implicore render: --reference is now --image; ")
    assert "psnr_db" in json.loads((folder / "old.json").read_text())


def test_a_subcommand_runs_with_one_blas_thread():
    code = """
import argparse
from implicore import cli

def run(options):
    import numpy
    from threadpoolctl import threadpool_info
    return 0, {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}

print(cli.execute(argparse.Namespace(run=run)))
"""
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "(0, {1})\n"


def test_help_does_not_import_numpy():
    """Start-up stays fast: whatever computes is imported by the subcommand that runs."""
    code = (
        "import sys; from implicore.cli import make_parser; make_parser().format_help(); "
        "print({'numpy', 'torch', 'tqdm', 'nibabel'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_generate_writes_tests_of_a_program_beside_the_verilog(folder, tmp_path):
    verilog = tmp_path / "verilog"
    run(
        *("generate", "-o", verilog, "--config", "tiny", "--tests"),
        *("--program", folder / "scan.inr", "--json", tmp_path / "g.json"),
    )
    files = json.loads((tmp_path / "g.json").read_text())["files"]
    assert {"implicore.v", "tests/run.py", "tests/exact/session"} <= set(files)
    written = {path.relative_to(verilog).as_posix() for path in verilog.rglob("*.*")}
    assert written <= set(files) and all((verilog / name).is_file() for name in files)
    stream = program_stream(Program.load(folder / "scan.inr"), ACCELERATORS["tiny"])
    assert stream.tobytes() in (verilog / "tests" / "exact" / "session").read_bytes()


def test_generate_rejects_before_it_writes(folder, tmp_path, capsys):
    command = ("generate", "-o", tmp_path / "verilog", "--config", "tiny")
    program = ("--program", folder / "scan.inr")
    message = rejected(capsys, *command, *program)
    assert message == "--program chooses the program that the tests decode: add --tests."
    message = rejected(capsys, *command, "--set", "width=8", "--tests", *program)
    assert re.match(r"The program does not fit the accelerator: width is 24", message)
    message = rejected(capsys, *command, "--tests", "--program", folder / "none")
    assert "cannot be read" in message
    assert not (tmp_path / "verilog").exists()


def test_synth_counts_gates_without_a_library(tmp_path, capsys):
    assert main(["synth", "-o", f"{tmp_path}/out", "--config", "tiny", "--target", "generic"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"^[\d,]+ gates, [\d,]+ flip-flops, ", text, re.M)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["gates"] > 0 and report["seconds"] > 0


def test_synth_rejects_before_it_writes(folder, tmp_path, capsys, monkeypatch):
    command = ("synth", "-o", tmp_path / "out", "--config", "tiny")
    message = rejected(capsys, *command, "--target", "tsmc")
    assert message.startswith("There is no target 'tsmc': choose ")
    message = rejected(capsys, *command, "--clock-mhz", "-1")
    assert message == "--clock-mhz must be above 0 and below 100000, not -1."
    message = rejected(capsys, *command, "--set", "width=8", "--program", folder / "scan.inr")
    assert re.match(r"The program does not fit the accelerator: width is 24", message)
    monkeypatch.delenv("PDK_ROOT", raising=False)
    message = rejected(capsys, *command, "--target", "ihp-sg13g2")
    assert "PDK_ROOT, which is not set: install the kit" in message
    message = rejected(capsys, *command, "--target", "ecp5", "--program", folder / "scan.inr")
    assert message.startswith("The target ecp5 has no energy model: omit --program")
    assert not (tmp_path / "out").exists()
