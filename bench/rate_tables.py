"""Rate-distortion results as Markdown tables, for ``bench/rate_distortion.py``."""

from __future__ import annotations

from image_codecs import CODECS
from rate_points import Point, at_rate, rate_for

from implicore.model.volume import Volume


def tables(name: str, volume: Volume, result: dict) -> str:
    """Make two tables: the codecs at the programs' rates, and the codecs' own points."""
    codecs = {codec: list(points.values()) for codec, points in result["codecs"].items()}
    heads = [*(f"{codec}, same rate" for codec in codecs), *(f"{codec} needs" for codec in codecs)]
    shape = " x ".join(map(str, volume.grid.shape))
    lines = [
        f"### {name}: {shape} voxels, uint8",
        "",
        "PSNR in dB / SSIM at the program's rate, then the bits per voxel for the program's PSNR.",
        "A dash: below the rates measured for the codec; >: above them, so at least this quality.",
        "",
        f"| Network | Formats | Bits per voxel | Program | {' | '.join(heads)} |",
        f"|---|---|---|---|{'---|' * len(heads)}",
    ]
    errors = []
    for row in result["programs"]:
        ours = row["point"]
        if ours is None:
            errors += ["", f"{row['network']} {row['formats']}: {row['error']}"]
            continue
        cells = [row["network"], row["formats"], f"{ours.bits_per_voxel:.3f}", _quality(ours)]
        cells += [_beside(points, ours.bits_per_voxel) for points in codecs.values()]
        rates = [rate_for(points, ours.psnr_db) for points in codecs.values()]
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
        for setting, reached in result["codecs"][codec.name].items():
            rate = f"{reached.bits_per_voxel:.3f}"
            lines.append(
                f"| {codec.name} | {codec.setting} {setting:g} | {rate} | {_quality(reached)} |"
            )
    return "\n".join(lines)


def _beside(points: list[Point], bits_per_voxel: float) -> str:
    """Format a codec's quality at a rate; above the measured rates, a lower bound."""
    best = max(points)
    beyond = "> " if bits_per_voxel > best.bits_per_voxel else ""
    return beyond + _quality(best if beyond else at_rate(points, bits_per_voxel))


def _quality(reached: Point | None) -> str:
    return "-" if reached is None else f"{reached.psnr_db:.2f} / {reached.ssim:.4f}"
