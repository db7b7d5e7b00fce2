import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import count as counting

import numpy as np
import pytest
import torch

from implicore.errors import BadInput
from implicore.grid import Frame, Grid
from implicore.model.checkpoint import Model, read_tensors
from implicore.model.network import reconstruct
from implicore.model.train import choose_device, fit, fitting
from implicore.model.train.recipe import PATCHES, POINTS
from implicore.model.train.trainer import Trainer
from implicore.model.volume import Volume
from implicore.network_shape import NetworkShape
from implicore.patch import Lattice

SHAPE = NetworkShape(frequencies=16, width=16, depth=4, skips=(3,))


PATCH = (4, 4, 3)
"""A patch that does not divide the last edge of ``blobs``, 18 or 20 voxels."""

PATCH_SHAPE = replace(SHAPE, outputs=48)


def blobs(shape=(16, 18, 20), affine=None, dtype=np.uint8) -> Volume:
    """A smooth image that is the same in the world for every grid."""
    grid = Grid.from_array(shape, np.eye(4) if affine is None else affine)
    x, y, z = np.moveaxis(grid.world(np.stack(np.indices(shape), -1)), -1, 0)
    data = 120 + 60 * np.sin(x / 3) * np.cos(y / 4) + 40 * np.cos(z / 5)
    return Volume(data.astype(dtype), grid, "blobs")


def fit_blobs(**options) -> Model:
    default = PATCH_SHAPE if "patch" in options else SHAPE
    options = {"shape": default, "steps": 60, "sigma": 1.0, "quiet": True, **options}
    return fit([blobs()], **options)


def same_network(a: Model, b: Model) -> bool:
    arrays = ((m.frequencies, *m.weights, *m.biases) for m in (a, b))
    return all(np.array_equal(x, y) for x, y in zip(*arrays, strict=True))


@pytest.mark.parametrize("options", [{}, {"patch": PATCH}])
def test_an_image_is_learned_and_the_stated_psnr_is_correct(options):
    model = fit_blobs(steps=400, **options)
    volume = blobs()
    error = reconstruct(model, volume.grid) - volume.data
    psnr = 20 * np.log10(255 / np.sqrt((error.astype(np.float64) ** 2).mean()))
    assert psnr > 36
    assert model.training["psnr_db"] == pytest.approx(psnr, abs=1e-3)
    assert model.training["ssim"] > 0.9
    assert model.training["steps"] == 400
    assert model.images[0]["name"] == "blobs"


def test_a_patch_model_has_the_frame_of_its_lattice():
    model = fit_blobs(patch=PATCH, steps=1)
    assert model.patch == PATCH and model.shape == PATCH_SHAPE
    assert model.frame == Frame.around([Lattice(blobs().grid, PATCH).padded])


def test_voxels_beyond_the_image_count_in_no_metric():
    # Patches of this edge reach 12 voxels beyond the image, where a copy of its edge is trained.
    patch = (14, 1, 1)
    model = fit_blobs(steps=100, patch=patch, shape=replace(SHAPE, outputs=14))
    volume = blobs()
    error = (reconstruct(model, volume.grid) - volume.data).astype(np.float64)
    psnr = 20 * np.log10(255 / np.sqrt((error**2).mean()))
    assert model.training["psnr_db"] == pytest.approx(psnr, abs=1e-3)


def test_intensities_are_reconstructed_in_their_unit():
    volume = blobs(dtype=np.int16)
    volume = Volume(volume.data * np.int16(10) - np.int16(1500), volume.grid, "ct")
    model = fit([volume], SHAPE, steps=300, sigma=1.0, quiet=True)
    assert (model.intensity.low, model.intensity.high) == volume.intensity_range
    assert np.abs(reconstruct(model, volume.grid) - volume.data).mean() < 60


def test_the_same_steps_make_the_same_bytes(tmp_path):
    # Seconds are the one thing that may differ: two runs are never equally fast.
    options = {"clock": lambda: 0.0}
    fit_blobs(output=tmp_path / "a", **options)
    fit_blobs(output=tmp_path / "b", **options)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    fit_blobs(output=tmp_path / "c", seed=1, **options)
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


def test_a_patch_of_one_voxel_is_the_default(tmp_path):
    fit_blobs(output=tmp_path / "a", clock=lambda: 0.0)
    fit_blobs(shape=SHAPE, patch=(1, 1, 1), output=tmp_path / "b", clock=lambda: 0.0)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("options", [{}, {"patch": PATCH}])
def test_the_probe_is_repeatable_and_finds_a_good_sigma(options):
    a, b = (fit_blobs(sigma=None, **options) for _ in range(2))
    assert same_network(a, b)
    assert 0.3 < a.sigma < 3
    assert a.training["sigma_given"] is False


def test_patches_have_their_own_bias_of_sigma(monkeypatch):
    monkeypatch.setattr(fitting, "probe_loss", lambda trainer, budget, clock: 0.0)
    points, patches = (fit_blobs(sigma=None, steps=1, **o) for o in ({}, {"patch": PATCH}))
    assert (points.sigma, patches.sigma) == (POINTS.probe_bias, PATCHES.probe_bias)


def test_the_budget_of_seconds_is_respected():
    ticks = counting()  # a clock that counts its readings
    model = fit_blobs(steps=None, seconds=100, clock=lambda: float(next(ticks)))
    assert 100 <= model.training["seconds"] < 110
    assert 40 < model.training["steps"] < 100


@pytest.mark.parametrize("bf16", [False, True])
def test_both_precisions_learn(monkeypatch, bf16):
    monkeypatch.setattr(fitting, "bf16_helps", lambda device: bf16)
    model = fit_blobs(steps=200)
    assert model.training["bf16"] is bf16
    assert model.training["psnr_db"] > 27
    assert all(weight.dtype == np.float32 for weight in model.weights)


def test_thick_scans_are_fitted_together_in_the_world():
    affines = [np.diag([4.0, 1, 1, 1]), np.diag([1.0, 4, 1, 1])]
    shapes = [(4, 16, 16), (16, 4, 16)]
    scans = [blobs(s, a, np.float32) for s, a in zip(shapes, affines, strict=True)]
    whole = blobs((13, 13, 16), None, np.float32)
    for profile in ("point", "slice"):
        model = fit(scans, SHAPE, steps=300, sigma=0.7, profile=profile, quiet=True)
        assert len(model.grids) == 2
        error = reconstruct(model, whole.grid) - whole.data
        assert np.sqrt((error**2).mean()) < 12


SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
from test_train import fit_blobs
from implicore.model.train import fitting
fitting.SAVE_SECONDS = 0.2
fit_blobs(steps={steps}, output={output!r}, resume=True, clock=lambda: 0.0)
"""


def test_a_killed_training_run_resumes_to_the_same_bytes(tmp_path):
    steps, output = 1500, tmp_path / "killed"
    script = SCRIPT.format(folder=os.path.dirname(__file__), steps=steps, output=str(output))
    part = tmp_path / "killed.part"
    kills = 0
    for _ in range(2):
        before = part.read_bytes() if part.exists() else None
        process = subprocess.Popen([sys.executable, "-c", script])
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if part.exists() and part.read_bytes() != before:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.01)
        kills += process.wait() == -signal.SIGKILL
    assert kills and not output.exists(), "the training was over before it could be killed"
    fit_blobs(steps=steps, output=output, resume=True, clock=lambda: 0.0)
    assert not part.exists()
    fit_blobs(steps=steps, output=tmp_path / "whole", clock=lambda: 0.0)
    assert output.read_bytes() == (tmp_path / "whole").read_bytes()


def interrupt(monkeypatch, output, after=40, **options):
    """Interrupt a training and leave its checkpoint."""

    class Break(Exception):
        pass

    def advance(self, rate, _advance=Trainer.advance):
        if self.step >= after:
            raise Break
        return _advance(self, rate)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "advance", advance)
        patch.setattr(fitting, "SAVE_SECONDS", 0.0)
        with pytest.raises(Break):
            fit_blobs(output=output, **options)


def test_the_clock_resumes_where_it_stopped(tmp_path, monkeypatch):
    ticks = iter(range(100_000))
    options = {"steps": None, "seconds": 400, "clock": lambda: float(next(ticks))}
    interrupt(monkeypatch, tmp_path / "m", after=120, **options)
    model = fit_blobs(output=tmp_path / "m", resume=True, **options)
    again = fit_blobs(**options)
    assert abs(model.training["steps"] - again.training["steps"]) < 40


def test_an_interrupted_fit_of_patches_resumes_to_the_same_bytes(tmp_path, monkeypatch):
    options = {"patch": PATCH, "clock": lambda: 0.0}
    interrupt(monkeypatch, tmp_path / "m", **options)
    header = read_tensors(tmp_path / "m.part", kind="checkpoint")[1]
    assert header["settings"]["patch"] == list(PATCH)
    fit_blobs(output=tmp_path / "m", resume=True, **options)
    fit_blobs(output=tmp_path / "whole", **options)
    assert (tmp_path / "m").read_bytes() == (tmp_path / "whole").read_bytes()


def test_a_checkpoint_of_points_does_not_mention_patches(tmp_path, monkeypatch):
    interrupt(monkeypatch, tmp_path / "m")
    assert "patch" not in read_tensors(tmp_path / "m.part", kind="checkpoint")[1]["settings"]


def test_an_unfinished_training_run_is_not_overwritten(tmp_path, monkeypatch):
    interrupt(monkeypatch, tmp_path / "m")
    before = (tmp_path / "m.part").read_bytes()
    with pytest.raises(
        BadInput,
        match=r"^.*/m\.part holds an unfinished training run: continue it with --resume, or "
        r"delete it to start again\.$",
    ):
        fit_blobs(output=tmp_path / "m")
    assert (tmp_path / "m.part").read_bytes() == before


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"steps": 61}, {"sigma": 1.5}, {"profile": "slice"}, {"patch": (4, 3, 4)}],
)
def test_resume_with_other_settings_is_rejected(tmp_path, monkeypatch, change):
    (name,) = change
    interrupt(monkeypatch, tmp_path / "m", **({"patch": PATCH} if name == "patch" else {}))
    with pytest.raises(
        BadInput,
        match=rf"^.*/m\.part was trained with other {name} \(.*, not .*\): resume with the same "
        r"settings, or delete it to start again\.$",
    ):
        fit_blobs(output=tmp_path / "m", resume=True, **change)


def test_resume_with_another_image_is_rejected(tmp_path, monkeypatch):
    interrupt(monkeypatch, tmp_path / "m")
    with pytest.raises(BadInput, match=r"^.*/m\.part was trained with other images "):
        fit([blobs((16, 16, 16))], SHAPE, steps=60, sigma=1.0, output=tmp_path / "m", resume=True)


def test_a_damaged_checkpoint_is_rejected(tmp_path):
    (tmp_path / "m.part").write_bytes(b"nothing")
    with pytest.raises(BadInput, match=r"^.*/m\.part is not a checkpoint file of implicore, or "):
        fit_blobs(output=tmp_path / "m", resume=True)


def test_resume_without_a_checkpoint_starts_from_the_beginning(tmp_path):
    assert same_network(fit_blobs(output=tmp_path / "m", resume=True), fit_blobs())


def test_training_continues_after_it_diverged(monkeypatch):
    def advance(self, rate, _advance=Trainer.advance):
        loss = _advance(self, rate)
        if rate > 0.4 and self.step > 30:  # ruined at the full rate only
            for parameter in self.network.parameters():
                parameter.data.fill_(float("nan"))
            loss = loss * float("nan")
        return loss

    monkeypatch.setattr(Trainer, "advance", advance)
    model = fit_blobs(steps=200)
    assert model.training["psnr_db"] > 17


def test_training_that_always_diverges_is_reported(monkeypatch):
    nan = torch.tensor(float("nan"))

    def advance(self, rate):
        self.step += 1
        return nan

    monkeypatch.setattr(Trainer, "advance", advance)
    with pytest.raises(BadInput, match=r"^The training diverges at every learning rate\.$"):
        fit_blobs()


def test_progress_goes_to_stderr_unless_quiet(capsys):
    fit_blobs(quiet=False)
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(r"fit +\d+%\|.*\| \d\d:\d\d<.*, \d+\.\d\d dB, \d+k voxels/s", err)
    fit_blobs(quiet=True)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": None}, r"^Give either the seconds or the steps to train, and not both\.$"),
        ({"seconds": 3}, r"^Give either the seconds or the steps to train, and not both\.$"),
        ({"steps": 0}, r"^The steps must be a positive whole number, not 0\.$"),
        ({"steps": None, "seconds": -1.0}, r"^The seconds must be a positive number, not -1\.0\.$"),
        ({"steps": None, "seconds": float("nan")}, r"^The seconds must be a positive number, not "),
        ({"sigma": 0.0}, r"^Sigma must be a positive number up to 32, not 0\.0\.$"),
        ({"sigma": float("nan")}, r"^Sigma must be a positive number up to 32, not nan\.$"),
        ({"seed": -1}, r"^The seed must be a whole number from 0, not -1\.$"),
        ({"device": "abacus"}, r"^The device 'abacus' is not available: use auto or cpu\.$"),
        (
            {"patch": (4, 4, 4)},
            r"^A patch of 4x4x4 voxels needs as many outputs, but the network has 48\.$",
        ),
        ({"profile": "box"}, r"^The profile must be one of point, slice, not 'box'\.$"),
    ],
)
def test_fit_rejects_invalid_options(options, message):
    with pytest.raises(BadInput, match=message):
        fit_blobs(**options)


@pytest.mark.parametrize(("available", "best"), [(False, "cpu"), (True, "cuda")])
def test_devices(monkeypatch, available, best):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert choose_device("auto").type == best
    assert choose_device("cpu").type == "cpu"


def test_an_interrupted_probe_does_not_try_again(tmp_path, monkeypatch):
    calls = []

    def probe(trainer, budget, clock, _probe=fitting.probe_loss):
        calls.append(trainer.network.sigma)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return _probe(trainer, budget, clock)

    monkeypatch.setattr(fitting, "probe_loss", probe)
    with pytest.raises(KeyboardInterrupt):
        fit_blobs(sigma=None, output=tmp_path / "m")
    resumed = fit_blobs(sigma=None, output=tmp_path / "m", resume=True)
    assert calls[2] == calls[3]
    assert len(calls) - 1 == len(set(calls))
    assert same_network(resumed, fit_blobs(sigma=None))
