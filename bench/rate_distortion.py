"""Quality at equal bits per voxel: programs against JPEG 2000, JPEG XL and HEVC.

The bits include everything that a decoder needs: the whole program file (with geometry and
checksum), every slice's codestream, the whole elementary video stream.

Trained networks stay in a folder and measurements in implicore's cache: an interrupted run resumes,
and another run computes only what is new. Seconds are cpu-seconds of one thread.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import image_codecs
import rate_points
import rate_programs
from datasets import ch2
from rate_points import Point
from rate_tables import tables
from tqdm import tqdm

from implicore.atomic import write_json
from implicore.cache import cached_json
from implicore.digest import source_digest
from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.model import metrics
from implicore.model.bundled import bundled_mri
from implicore.model.checkpoint import image_digest
from implicore.model.volume import Volume, load_volume
from implicore.network_shape import NETWORKS

VOLUMES = {"ch2": ch2, "bundled": lambda: load_volume(bundled_mri())}
PRESETS = ("fast", "demo", "quality")
FORMATS = ("w8a12", "w8a8", "w6a8")
FOLDER = Path("build/rate_distortion")


def measured(inputs: dict, compute: Callable[[], Point]) -> Point:
    """Return the point that ``compute`` measures, from the cache if it has been measured before."""
    return Point(*cached_json("rate-distortion", inputs, compute))


def run(options) -> dict:
    """Measure everything requested.

    Returns
    -------
    dict
        By volume, the points of each codec by their setting and a row for each program.
    """
    packages = {codec.package: _version(codec.package) for codec in image_codecs.CODECS}
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{options.folder} cannot be created: {error.strerror}.") from None
    steps = sum(len(codec.settings) for codec in image_codecs.CODECS)
    steps += len(options.preset) * (1 + len(options.formats))
    results = {}
    with tqdm(total=steps * len(options.volume), unit="step", disable=options.quiet) as bar:
        for name in options.volume:
            volume = VOLUMES[name]()
            inputs = {
                "image": image_digest(volume),
                "code": [Path(module.__file__) for module in (image_codecs, rate_points, metrics)],
            }
            codecs = {codec.name: {} for codec in image_codecs.CODECS}
            for codec in image_codecs.CODECS:
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
    """Make one row per format of a network: its point, or the error if the format is too narrow."""
    budget = rate_programs.Budget(options.seconds, options.finetune, options.seed)
    path = options.folder / f"{name}-{preset}-{budget.fit:g}s-seed{budget.seed}.model"
    bar.set_description(f"{name}, {preset}")
    model = rate_programs.trained(volume, preset, budget, path, options.quiet)
    inputs = {
        "model": path,
        "image": image_digest(volume),
        "finetune": [budget.finetune, budget.seed],
        "code": [
            Path(rate_programs.__file__),
            Path(rate_points.__file__),
            source_digest("implicore", "implicore.model"),
        ],
    }
    bar.update()
    rows = []
    for formats in options.formats:
        bar.set_description(f"{name}, {preset} {formats}")

        def compute(formats=formats):
            program = rate_programs.compiled(model, volume, formats, budget, options.quiet)
            return rate_programs.measure_program(program, volume, options.quiet)

        row = {"network": preset, "formats": str(formats), "point": None, "error": None}
        try:
            row["point"] = measured({**inputs, "formats": str(formats)}, compute)
        except BadInput as error:
            row["error"] = str(error)
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


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"it must be a positive number, not {text}")
    return value


def _formats(text: str) -> Formats:
    try:
        return Formats.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def main(arguments: list[str] | None = None) -> int:
    """Measure and print the tables; on bad input, print one sentence and return 2."""
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
    parser.add_argument("--json", metavar="FILE", help="write the results to a JSON file")
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
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
    """Convert points to dictionaries and numeric keys to text, for JSON."""
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
