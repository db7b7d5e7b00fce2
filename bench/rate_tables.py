"""Rate-distortion results as Markdown tables, for ``bench/rate_distortion.py``."""

from __future__ import annotations

from image_codecs import CODECS
from rate_points import Point, at_rate, rate_for

from implicore.model.volume import Volume


def tables(name: str, volume: Volume, result: dict) -> str:
    """Make two tables: the codecs at the programs' rates, and the codecs' measured points."""
    codecs = {codec: list(points.values()) for codec, points in result["codecs"].items()}
    heads = [*(f"{codec}, same rate" for codec in codecs), *(f"{codec} needs" for codec in codecs)]
    shape = " x ".join(map(str, volume.grid.shape))
    lines = [
        f"### {name}: {shape} voxels, uint8",
        "",
        "PSNR in dB / SSIM at the program's rate, then the bits per voxel for the program's PSNR.",
        "A dash marks a rate below those measured for the codec, > a rate above them: the quality "
        "is at least this high.",
        "",
        f"| Network | Formats | Bits per voxel | Program | {' | '.join(heads)} |",
        f"|---|---|---|---|{'---|' * len(heads)}",
    ]
    errors = []
    for row in result["programs"]:
        program = row["point"]
        if program is None:
            errors += ["", f"{row['network']} {row['formats']}: {row['error']}"]
            continue
        rate = program.bits_per_voxel
        cells = [row["network"], row["formats"], f"{rate:.3f}", _quality(program)]
        cells += [_quality_at(points, rate) for points in codecs.values()]
        rates = [rate_for(points, program.psnr_db) for points in codecs.values()]
        cells += ["-" if rate is None else f"{rate:.3f}" for rate in rates]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        *errors,
        "",
        "Measured:",
        "",
        "| Codec | Setting | Bits per voxel | PSNR in dB / SSIM |",
        "|---|---|---|---|",
    ]
    for codec in CODECS:
        for setting, point in result["codecs"][codec.name].items():
            rate = f"{point.bits_per_voxel:.3f}"
            lines.append(
                f"| {codec.name} | {codec.setting} {setting:g} | {rate} | {_quality(point)} |"
            )
    return "\n".join(lines)


def _quality_at(points: list[Point], bits_per_voxel: float) -> str:
    """Format a codec's quality at a rate; above the measured rates, a lower bound."""
    best = max(points)
    beyond = "> " if bits_per_voxel > best.bits_per_voxel else ""
    return beyond + _quality(best if beyond else at_rate(points, bits_per_voxel))


def _quality(point: Point | None) -> str:
    return "-" if point is None else f"{point.psnr_db:.2f} / {point.ssim:.4f}"
