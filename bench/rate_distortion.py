"""Our programs beside JPEG 2000, JPEG XL and HEVC: quality at the same bits per voxel.

Bits are those of everything a decoder needs: the whole program file (geometry and checksum
included), every slice's codestream, the whole elementary video stream. JPEG 2000 and JPEG XL code
each axial slice by itself, HEVC the slices as the frames of a video.

Trained networks stay in a folder and measurements in implicore's cache, so that an interrupted run
resumes, and another run computes only what is new. Seconds are cpu-seconds of one thread.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import numpy as np
from datasets import ch2
from tqdm import tqdm

from implicore.atomic import write_json
from implicore.cache import cached_json
from implicore.digest import source_digest
from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.model import metrics
from implicore.model.bundled import bundled_mri
from implicore.model.checkpoint import Model, image_digest
from implicore.model.compiler import CALIBRATION, Voxels
from implicore.model.finetune import finetune
from implicore.model.golden import Renderer
from implicore.model.metrics import psnr, ssim
from implicore.model.quantize import assemble, quantize
from implicore.model.train import fit
from implicore.model.volume import Volume, load_volume, to_intensities
from implicore.network_shape import NETWORKS
from implicore.program import Program

VOLUMES = {"ch2": ch2, "bundled": lambda: load_volume(bundled_mri())}
PRESETS = ("fast", "demo", "quality")
FORMATS = ("w8a12", "w8a8", "w6a8")
FOLDER = Path("build/rate_distortion")
PEAK = 255


class Point(NamedTuple):
    """One way to store a volume: what it takes and how close it comes."""

    bits_per_voxel: float
    psnr_db: float
    ssim: float


# --------------------------------------------------------------------------------- the codecs


class Codec(NamedTuple):
    """A codec of uint8 volumes.

    Attributes
    ----------
    name : str
    package : str
        The Python package that does it.
    setting : str
        What its quality is called.
    settings : tuple of numbers
        Those to measure.
    encode : function (uint8 array, setting) -> list of bytes
        Streams that hold all the decoder is told.
    decode : function (list of bytes) -> uint8 array of the same shape
    """

    name: str
    package: str
    setting: str
    settings: tuple[float, ...]
    encode: Callable[[np.ndarray, float], list[bytes]]
    decode: Callable[[list[bytes]], np.ndarray]

    def measure(self, data: np.ndarray, setting: float) -> Point:
        """Store and restore a volume."""
        streams = self.encode(data, setting)
        return point(data, self.decode(streams), sum(map(len, streams)))


def point(data: np.ndarray, decoded: np.ndarray, size: int) -> Point:
    """How close ``decoded``, made from ``size`` bytes, comes to ``data``."""
    return Point(8 * size / data.size, psnr(data, decoded, PEAK), ssim(data, decoded, PEAK))


def _planes(data: np.ndarray):
    return (np.ascontiguousarray(data[:, :, k]) for k in range(data.shape[2]))


def encode_jpeg2000(data: np.ndarray, decibels: float) -> list[bytes]:
    """Irreversible wavelet, bare codestreams, each slice coded to a PSNR of ``decibels``."""
    from imagecodecs import jpeg2k_encode

    options = {"codecformat": "j2k", "reversible": False, "numthreads": 1}
    return [jpeg2k_encode(plane, level=decibels, **options) for plane in _planes(data)]


def decode_jpeg2000(streams: list[bytes]) -> np.ndarray:
    """What ``encode_jpeg2000`` stored."""
    from imagecodecs import jpeg2k_decode

    return np.stack([jpeg2k_decode(stream, numthreads=1) for stream in streams], axis=-1)


def encode_jpegxl(data: np.ndarray, distance: float) -> list[bytes]:
    """Lossy JPEG XL at its default effort, bare codestreams, at a Butteraugli ``distance``."""
    from imagecodecs import jpegxl_encode

    options = {"effort": 7, "usecontainer": False, "numthreads": 1}
    return [jpegxl_encode(plane, distance=distance, **options) for plane in _planes(data)]


def decode_jpegxl(streams: list[bytes]) -> np.ndarray:
    """What ``encode_jpegxl`` stored."""
    from imagecodecs import jpegxl_decode

    planes = (jpegxl_decode(stream, numthreads=1) for stream in streams)
    return np.stack([plane.reshape(plane.shape[:2]) for plane in planes], axis=-1)


def encode_hevc(data: np.ndarray, crf: float) -> list[bytes]:
    """x265, preset slow, tuned for PSNR, 8-bit grey, elementary stream without x265's banner."""
    import av

    parameters = f"crf={crf}:log-level=error:info=0:pools=none:frame-threads=1"
    file = io.BytesIO()
    with av.open(file, "w", format="hevc") as container:
        stream = container.add_stream("libx265", rate=25)
        stream.height, stream.width = data.shape[:2]
        stream.pix_fmt = "gray"
        stream.options = {"preset": "slow", "tune": "psnr", "x265-params": parameters}
        for number, plane in enumerate(_planes(data)):
            frame = av.VideoFrame.from_ndarray(plane, format="gray")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return [file.getvalue()]


def decode_hevc(streams: list[bytes]) -> np.ndarray:
    """What ``encode_hevc`` stored."""
    import av

    with av.open(io.BytesIO(b"".join(streams)), format="hevc") as container:
        return np.stack([frame.to_ndarray() for frame in container.decode(video=0)], axis=-1)


CODECS = (
    Codec(
        "JPEG 2000",
        "imagecodecs",
        "dB",
        (18, 22, 26, 30, 34, 38, 42, 46, 50),
        encode_jpeg2000,
        decode_jpeg2000,
    ),
    Codec(
        "JPEG XL",
        "imagecodecs",
        "distance",
        (25, 15, 8, 4, 2, 1, 0.5),
        encode_jpegxl,
        decode_jpegxl,
    ),
    Codec("HEVC", "av", "crf", (46, 42, 38, 34, 30, 26, 22, 18, 14, 10), encode_hevc, decode_hevc),
)


def at_rate(points: list[Point], bits_per_voxel: float) -> Point | None:
    """What a codec reaches at a rate, between the two nearest points measured.

    Linear in the logarithm of the rate; None outside the rates measured.
    """
    points = sorted(points)
    rates = [point.bits_per_voxel for point in points]
    if not rates or not rates[0] <= bits_per_voxel <= rates[-1]:
        return None
    place = np.log(bits_per_voxel)
    levels = ([getattr(p, field) for p in points] for field in ("psnr_db", "ssim"))
    return Point(bits_per_voxel, *(float(np.interp(place, np.log(rates), y)) for y in levels))


def rate_for(points: list[Point], psnr_db: float) -> float | None:
    """The bits per voxel at which a codec reaches a PSNR; None outside what was measured."""
    points = sorted(points, key=lambda point: point.psnr_db)
    levels = [point.psnr_db for point in points]
    if not levels or not levels[0] <= psnr_db <= levels[-1]:
        return None
    return float(np.exp(np.interp(psnr_db, levels, np.log([p.bits_per_voxel for p in points]))))


# ------------------------------------------------------------------------------- our programs


class Budget(NamedTuple):
    """How long networks are trained and tuned, in cpu-seconds."""

    fit: float
    finetune: float
    seed: int


def trained(volume: Volume, preset: str, budget: Budget, path: Path, quiet: bool) -> Model:
    """The network of a preset, from ``path`` if it is there, else trained and written to it."""
    if path.exists():
        model = Model.load(path)
        if model.shape == NETWORKS[preset]:
            return model
    return fit(
        [volume],
        NETWORKS[preset],
        seconds=budget.fit,
        seed=budget.seed,
        device="cpu",
        output=path,
        resume=True,
        quiet=quiet,
        clock=time.process_time,
    )


def compiled(model: Model, volume: Volume, formats: Formats, budget: Budget, quiet: bool):
    """The program that ``compile --finetune`` makes, without its account of the losses."""
    voxels = Voxels(model, [volume])
    sample = voxels.coordinates[voxels.spread(CALIBRATION[1] // 2, seed=0)]
    rounded, scales = quantize(model, formats, sample)
    if budget.finetune > 0:
        with tqdm(total=budget.finetune, desc="tuning", disable=quiet, leave=False) as bar:
            rounded = finetune(
                rounded,
                formats,
                scales,
                voxels.coordinates,
                voxels.targets,
                seconds=budget.finetune,
                seed=budget.seed,
                clock=time.process_time,
                report=lambda spent, step, loss: bar.update(min(spent, bar.total) - bar.n),
            )
    return assemble(rounded, formats, scales)


def measure_program(program: Program, volume: Volume, quiet: bool) -> Point:
    """Decode a program as ``render`` does, to the volume's own voxel type."""
    intensity, top = program.intensity, program.formats.output_max
    table = to_intensities(intensity.values(np.arange(top + 1), top), intensity.dtype)
    total = volume.grid.voxels
    with tqdm(total=total, desc="rendering", unit_scale=True, disable=quiet, leave=False) as bar:
        decoded = Renderer(program).render(volume.grid, table.__getitem__, bar.update)
    return point(volume.data, decoded, len(program.to_bytes()))


# ------------------------------------------------------------------------------------ the run


def measured(inputs: dict, compute: Callable[[], Point]) -> Point:
    """Return the point that ``compute`` measures, from the cache if it has been measured before."""
    return Point(*cached_json("rate-distortion", inputs, compute))


def run(options) -> dict:
    """Measure everything that was asked for: by volume, points of codecs and rows of programs."""
    packages = {codec.package: _version(codec.package) for codec in CODECS}
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"The folder {options.folder} cannot be made: {error.strerror}.") from None
    steps = sum(len(codec.settings) for codec in CODECS)
    steps += len(options.preset) * (1 + len(options.formats))
    results = {}
    with tqdm(total=steps * len(options.volume), unit="step", disable=options.quiet) as bar:
        for name in options.volume:
            volume = VOLUMES[name]()
            inputs = {
                "image": image_digest(volume),
                "code": [Path(__file__), Path(metrics.__file__)],
            }
            codecs = {codec.name: {} for codec in CODECS}
            for codec in CODECS:
                for setting in codec.settings:
                    bar.set_description(f"{name}, {codec.name} {codec.setting} {setting:g}")
                    codecs[codec.name][setting] = measured(
                        {**inputs, "codec": [codec.name, packages[codec.package], setting]},
                        lambda c=codec, s=setting, v=volume: c.measure(v.data, s),
                    )
                    bar.update()
            programs = []
            for preset in options.preset:
                programs += _programs(name, volume, preset, options, bar)
            results[name] = {"codecs": codecs, "programs": programs}
    return results


def _programs(name: str, volume: Volume, preset: str, options, bar) -> list[dict]:
    """A row for each format of one network: its point, or why the formats cannot hold it."""
    budget = Budget(options.seconds, options.finetune, options.seed)
    path = options.folder / f"{name}-{preset}-{budget.fit:g}s-seed{budget.seed}.model"
    bar.set_description(f"{name}, {preset}")
    model = trained(volume, preset, budget, path, options.quiet)
    inputs = {
        "model": path,
        "image": image_digest(volume),
        "finetune": [budget.finetune, budget.seed],
        "code": [Path(__file__), source_digest("implicore", "implicore.model")],
    }
    bar.update()
    rows = []
    for formats in options.formats:
        bar.set_description(f"{name}, {preset} {formats}")

        def compute(formats=formats):
            program = compiled(model, volume, formats, budget, options.quiet)
            return measure_program(program, volume, options.quiet)

        row = {"network": preset, "formats": str(formats), "point": None, "refusal": None}
        try:
            row["point"] = measured({**inputs, "formats": str(formats)}, compute)
        except BadInput as error:
            row["refusal"] = str(error)
        rows.append(row)
        bar.update()
    return rows


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        raise BadInput(
            f"The Python package {package} is missing: install the codecs with "
            "pip install 'implicore[bench]'."
        ) from None


def tables(name: str, volume: Volume, result: dict) -> str:
    """Two Markdown tables: codecs at our programs' rates, and the codecs' own points."""
    codecs = {codec: list(points.values()) for codec, points in result["codecs"].items()}
    heads = [*(f"{codec}, same rate" for codec in codecs), *(f"{codec} needs" for codec in codecs)]
    shape = " x ".join(map(str, volume.grid.shape))
    lines = [
        f"### {name}: {shape} voxels, uint8",
        "",
        "PSNR in dB / SSIM at the program's rate, then the bits per voxel for the program's PSNR.",
        "A dash: less than the codec was measured at; >: more than that, so at least so good.",
        "",
        f"| Network | Formats | Bits per voxel | Program | {' | '.join(heads)} |",
        f"|---|---|---|---|{'---|' * len(heads)}",
    ]
    refusals = []
    for row in result["programs"]:
        ours = row["point"]
        if ours is None:
            refusals += ["", f"{row['network']} {row['formats']}: {row['refusal']}"]
            continue
        cells = [row["network"], row["formats"], f"{ours.bits_per_voxel:.3f}", _quality(ours)]
        cells += [_beside(points, ours.bits_per_voxel) for points in codecs.values()]
        rates = [rate_for(points, ours.psnr_db) for points in codecs.values()]
        cells += ["-" if rate is None else f"{rate:.3f}" for rate in rates]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        *refusals,
        "",
        "Measured:",
        "",
        "| Codec | Setting | Bits per voxel | PSNR in dB / SSIM |",
        "|---|---|---|---|",
    ]
    for codec in CODECS:
        for setting, reached in result["codecs"][codec.name].items():
            rate = f"{reached.bits_per_voxel:.3f}"
            lines.append(
                f"| {codec.name} | {codec.setting} {setting:g} | {rate} | {_quality(reached)} |"
            )
    return "\n".join(lines)


def _beside(points: list[Point], bits_per_voxel: float) -> str:
    """A codec's quality at a rate; at a rate beyond those measured, the least it can be."""
    best = max(points)
    beyond = "> " if bits_per_voxel > best.bits_per_voxel else ""
    return beyond + _quality(best if beyond else at_rate(points, bits_per_voxel))


def _quality(reached: Point | None) -> str:
    return "-" if reached is None else f"{reached.psnr_db:.2f} / {reached.ssim:.4f}"


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"a positive number, not {text}")
    return value


def _formats(text: str) -> Formats:
    try:
        return Formats.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def main(arguments: list[str] | None = None) -> int:
    """Measure and print the tables; 2 and one sentence for bad input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--volume", action="append", choices=VOLUMES, help="may be repeated")
    parser.add_argument("--preset", action="append", choices=NETWORKS, help="may be repeated")
    parser.add_argument(
        "--formats", action="append", type=_formats, metavar="NAME", help="may be repeated"
    )
    parser.add_argument(
        "--seconds",
        type=_positive,
        default=90.0,
        metavar="N",
        help="cpu-seconds of each training (default: %(default)g)",
    )
    parser.add_argument(
        "--finetune",
        type=_positive,
        default=10.0,
        metavar="N",
        help="cpu-seconds of tuning for each format (default: %(default)g)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: %(default)s")
    parser.add_argument(
        "--folder",
        type=Path,
        default=FOLDER,
        metavar="DIR",
        help="folder of the trained networks (default: %(default)s)",
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures to a JSON file")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(arguments)
    options.volume = options.volume or list(VOLUMES)
    options.preset = options.preset or list(PRESETS)
    options.formats = options.formats or [Formats.parse(name) for name in FORMATS]
    try:
        results = run(options)
        for name, result in results.items():
            print(tables(name, VOLUMES[name](), result), end="\n\n")
        if options.json:
            write_json(options.json, {"seconds": options.seconds, "volumes": _plain(results)})
    except BadInput as error:
        print(f"rate_distortion: {error}", file=sys.stderr)
        return 2
    return 0


def _plain(content):
    """Points become dictionaries, and settings text, as JSON wants its keys."""
    if isinstance(content, Point):
        return content._asdict()
    if isinstance(content, dict):
        return {
            key if isinstance(key, str) else f"{key:g}": _plain(value)
            for key, value in content.items()
        }
    return [_plain(value) for value in content] if isinstance(content, list) else content


if __name__ == "__main__":
    raise SystemExit(main())
