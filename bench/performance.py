"""Measure time and memory of every subcommand on the demo: the table of docs/performance.md.

    python bench/performance.py [-o build/performance] [--write docs/performance.md] [--json FILE]

Each step of `implicore demo` runs in a separate process: first with an empty build cache, then
again with the cache that the first run left. A step that trains for a fixed time runs once. Peak
memory is the resident set of the largest process, the subcommand or one that it starts.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

from harness import Table, parser, run, write

from implicore.atomic import make_folder
from implicore.demo.steps import SWEEP, steps
from implicore.demo.tools import check_tools
from implicore.errors import BadInput
from implicore.model.bundled import bundled_mri

FIXED = ("fit", "fit_point")
"""Steps that train for a fixed time and run once."""

FIGURES = ("seconds", "cpu_seconds", "peak_mib")
COLUMNS = {
    "step": ("step", "<18"),
    "seconds": ("first s", ".1f"),
    "cpu_seconds": ("cpu s", ".1f"),
    "peak_mib": ("MiB", ".0f"),
    "again_seconds": ("again s", ".1f"),
    "again_cpu_seconds": ("cpu s", ".1f"),
    "again_peak_mib": ("MiB", ".0f"),
}


def measured(command: list[str], environment: dict[str, str]) -> dict[str, float]:
    """Return wall seconds, processor seconds and peak MiB of one successful run."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "implicore", *command, "--quiet"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    message = process.stderr.read().decode(errors="replace").strip()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise BadInput(f"implicore {shlex.join(command)} failed: {message}")
    return {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_mib": usage.ru_maxrss / 1024,
    }


def prepare(folder: Path, target: str) -> None:
    """Write the files that the demo's steps start from."""
    make_folder(folder)
    shutil.copyfile(bundled_mri(), folder / "scan.nii.gz")
    (folder / "sweep.toml").write_text(SWEEP.format(target=target), encoding="utf-8")


def markdown(rows: list[dict], target: str) -> str:
    """Return the table of the document."""
    lines = [
        f"{date.today().isoformat()}, target `{target}`, {os.cpu_count()} processors, on which "
        f"{os.getloadavg()[2]:.1f} processes were running or waiting at the end, on average.",
        "",
        "| `implicore ...` | First: s | cpu s | MiB | Again: s | cpu s | MiB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        figures = [
            "" if row[key] is None else format(row[key], form)
            for key, (_, form) in COLUMNS.items()
            if form != "<18"
        ]
        lines.append(f"| `{row['command']}` | {' | '.join(figures)} |")
    first = sum(row["seconds"] for row in rows)
    again = sum(row["again_seconds"] or 0 for row in rows)
    lines += ["", f"All together {first:.0f} s; again, but for the training, {again:.0f} s."]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure and print a table."""
    arguments = parser(__doc__)
    arguments.add_argument("-o", "--output", default="build/performance", help="folder to work in")
    arguments.add_argument("--write", metavar="FILE.md", help="document whose table to replace")
    options = arguments.parse_args()
    target, library = check_tools()
    folder, cache = Path(options.output) / "demo", Path(options.output) / "cache"
    for path in (folder, cache):
        shutil.rmtree(path, ignore_errors=True)
    prepare(folder, target)
    environment = {**os.environ, "IMPLICORE_CACHE": str(cache.absolute())}
    table = Table(COLUMNS)
    for step in steps(target, library):
        # Without --resume, a repeated step starts over.
        command = [word for word in step.command(folder) if word != "--resume"]
        row = {"step": step.name, "command": shlex.join(command).replace(f"{folder}/", "")}
        row |= measured(command, environment)
        again = dict.fromkeys(FIGURES)
        if step.name not in FIXED:
            for name in step.outputs:  # a sweep needs an empty folder
                if (folder / name).is_dir():
                    shutil.rmtree(folder / name)
            again = measured(command, environment)
        table.add(row | {f"again_{key}": value for key, value in again.items()})
        if options.write:
            write(options.write, __file__, markdown(table.rows, target))
    return table.end(options.json)


if __name__ == "__main__":
    run(main)
