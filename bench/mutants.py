"""Inject faults into the hardware and count how many the quick tests detect.

    python bench/mutants.py [NUMBER...] [--json FILE]

Each mutant is one changed expression in a source file under ``hw/``, in a copy of the repository.
The components' tests run first, then random cases. The first failure ends a run.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
UNITS = "processing_element systolic_array requantizer hw_sincos coordinates fourier row voxels"
VOXELS = "voxel_bank voxel_reader voxel_packer protection"
TESTS = [
    *(f"tests/test_{name}.py" for name in f"{UNITS} {VOXELS} sequencer core accelerator".split()),
    "tests/test_benches.py",
    "tests/test_sim_campaign.py",
]
TIMEOUT = 900
"""Seconds after which a run counts as hanging and the mutant as detected."""


class Mutant(NamedTuple):
    """One change in one file."""

    name: str
    file: str
    old: str
    new: str


MUTANTS = [
    Mutant(
        "unsigned weights",
        "processing_element",
        "self.weight * self",
        "self.weight.as_unsigned() * self",
    ),
    Mutant(
        "the accumulator is not cleared", "processing_element", "Mux(self.done, 0, total)", "total"
    ),
    Mutant(
        "zero gating does not clear the accumulator",
        "processing_element",
        "Mux(begins, 0, total)",
        "Mux(self.done, 0, total)",
    ),
    Mutant(
        "done is one column early",
        "systolic_array",
        "marching[column + delay]",
        "marching[column + delay - 1]",
    ),
    Mutant(
        "the first column is never drained",
        "systolic_array",
        "drained.append(Mux(drains, pe.sum, 0))",
        "drained.append(Mux(drains, pe.sum, 0) if column else 0)",
    ),
    Mutant(
        "the bypass sum is lost",
        "systolic_array",
        "drained = [self.bypass_sum]",
        "drained = [self.bypass_sum & 0]",
    ),
    Mutant(
        "the result is rounded up",
        "requantizer",
        "whole = shifted >> OFFSET_FRACTION",
        "whole = (shifted + 1) >> OFFSET_FRACTION",
    ),
    Mutant("no saturation at the maximum", "requantizer", " | above.replicate(len(whole))", ""),
    Mutant(
        "no saturation at zero",
        "requantizer",
        "Mux(whole < 0, 0, whole.as_unsigned()",
        "Mux(whole < 0, whole.as_unsigned(), whole.as_unsigned()",
    ),
    Mutant(
        "no clipping before the offset",
        "requantizer",
        'clip(dropped, clipped_shape), "clipped"',
        'dropped, "clipped"',
    ),
    Mutant(
        "fine shift ignored",
        "requantizer",
        "octets_gone >> self.fine",
        "octets_gone >> (self.fine & 3)",
    ),
    Mutant("sine and cosine swapped", "sincos", "+ self.cosine)", "+ ~self.cosine)"),
    Mutant("quarter wave not mirrored", "sincos", " ^ quadrant[0].replicate(quarter_bits)", ""),
    Mutant(
        "slope added instead of subtracted",
        "sincos",
        "start - rise",
        "start + rise",
    ),
    Mutant(
        "the lower half of the coordinate is signed",
        "fourier",
        "operand * coordinate[:half])",
        "operand * coordinate[:half].as_signed())",
    ),
    Mutant(
        "the phase is not cleared", "fourier", "Mux(first, 0, total) + product", "total + product"
    ),
    Mutant(
        "sines one address too high",
        "fourier",
        "written + self.last_frequency + 1",
        "written + self.last_frequency + 2",
    ),
    Mutant(
        "points are accepted into an occupied half",
        "fourier",
        "~tile_full | ~occupied.bit_select(~fill_select, 1)",
        "1",
    ),
    Mutant(
        "a released half still counts as full",
        "fourier",
        "                full_halves.bit_select(read_select, 1).eq(0),\n",
        "",
    ),
    Mutant(
        "a short tile waits for all rows",
        "fourier",
        "row_ends = (row == self.rows - 1) | points.payload.last",
        "row_ends = row == self.rows - 1",
    ),
    Mutant(
        "the second axis uses the increment of the first",
        "coordinates",
        "addends = [grid.origin, *grid.increments]",
        "addends = [grid.origin, grid.increments[0], grid.increments[0], grid.increments[2]]",
    ),
    Mutant(
        "a new plane begins at every new line",
        "coordinates",
        "at_end[0] & ~at_end[1], at_end[:2].all()",
        "at_end[0], at_end[0]",
    ),
    Mutant(
        "no wait for unwritten neurons",
        "sequencer",
        "first_tile & (position >= written_count)",
        "0",
    ),
    Mutant(
        "a neuron is read one cycle early",
        "sequencer",
        "first_tile & (position >= written_count)",
        "first_tile & (position > written_count)",
    ),
    Mutant(
        "no wait for the drain of the previous tile",
        "sequencer",
        "| (last_input & ~drain_free)",
        "| (last_input & 0)",
    ),
    Mutant(
        "no wait for the voxel buffer",
        "sequencer",
        "| (last_input & before_voxels & ~self.output_free)",
        "| 0",
    ),
    Mutant(
        "the weight address is not reset",
        "sequencer",
        "                weight_counter.eq(0),\n",
        "",
    ),
    Mutant(
        "skip connections are one layer late",
        "sequencer",
        "shape.skips.bit_select(next_layer, 1)),",
        "shape.skips.bit_select(layer, 1)),",
    ),
    Mutant(
        "all layers write to the same half",
        "sequencer",
        "write_select.eq(layer[0])",
        "write_select.eq(0)",
    ),
    Mutant(
        "a full last tile is followed by another one",
        "sequencer",
        "neurons_left >= config.columns",
        "neurons_left + 1 >= config.columns",
    ),
    Mutant(
        "voxels are lost when stalled",
        "voxels",
        "transfer = valid & self.voxels.ready",
        "transfer = valid",
    ),
    Mutant("tlast with every tile", "voxels", "at_last & current_tile.last", "at_last"),
    Mutant(
        "the checksum is ignored",
        "loader",
        "with m.If(~crc.match_detected):",
        "with m.If(crc.match_detected & 0):",
    ),
    Mutant(
        "the requantizer's stages move a cycle early",
        "row",
        "requantizer.enables.eq(Cat(*valid[1:]))",
        "requantizer.enables.eq(Cat(*valid[:-1]))",
    ),
    Mutant(
        "odd columns have the skew of their neighbours",
        "row",
        'delay_line(m, read[column], column, name=f"weight_{column}")',
        'delay_line(m, read[column], column // 2 * 2, name=f"weight_{column}")',
    ),
    Mutant(
        "weight banks in reverse order",
        "loader",
        "Cat(*column[per_bank - 1 : -1 : per_bank], column[-1])",
        "Cat(*column[per_bank - 1 : -1 : per_bank], column[-1])[::-1]",
    ),
    Mutant(
        "a job starts without a program",
        "accelerator",
        "start_requested & loaded & ~busy",
        "start_requested & ~busy",
    ),
    Mutant(
        "stalls count as active cycles",
        "accelerator",
        '"active_cycles": (core.step, 1)',
        '"active_cycles": (1, 1)',
    ),
    Mutant(
        "abort does not clear the core",
        "accelerator",
        "core.clear.eq(drain_cycles_left == 1)",
        "core.clear.eq(0)",
    ),
    Mutant(
        "a half is written while the last rows read it",
        "fourier",
        "delay = release_delay(self.formats, self.lanes)",
        "delay = 0",
    ),
    Mutant(
        "one output too many is accepted",
        "loader",
        "item >= config.outputs",
        "item > config.outputs",
    ),
    Mutant("earlier voxels of a word are lost", "voxel_bank", "lane == number", "lane == 0"),
    Mutant(
        "a row holds its word",
        "voxel_bank",
        'Mux(delay_line(m, read, 1, name="valid"), word, 0)',
        "word",
    ),
    Mutant(
        "the number of a voxel is not reset",
        "core",
        "with m.If(last | self.start):",
        "with m.If(self.start):",
    ),
    Mutant(
        "all voxels are written to the first half",
        "core",
        "number | (reader.half << half_bit)",
        "number",
    ),
    Mutant(
        "an incomplete word is not written",
        "core",
        "voxel & (last | ((number & (per_beat - 1)) == per_beat - 1))",
        "voxel & ((number & (per_beat - 1)) == per_beat - 1)",
    ),
    Mutant(
        "room for voxels is claimed with the last column tile",
        "sequencer",
        "final_layer & Mux(on_array, first_tile, ~more_tiles)",
        "final_layer & ~more_tiles",
    ),
    Mutant(
        "voxels are complete after one column tile",
        "sequencer",
        "(window_ends & to_voxel & ends_tile)",
        "(window_ends & to_voxel)",
    ),
    Mutant(
        "the output layer is as wide as the others",
        "sequencer",
        "Mux(next_layer == shape.last_layer, last_output, shape.last_neuron)",
        "shape.last_neuron",
    ),
    Mutant("words are read without room", "voxel_reader", "(room > 1) | taken", "1"),
    Mutant(
        "all points are read from row 0",
        "voxel_reader",
        "row.eq(row.rotate_left(1))",
        "row.eq(row)",
    ),
    Mutant(
        "an unread half is free",
        "voxel_reader",
        "self.free.eq(~claimed.bit_select(reserve_half, 1))",
        "self.free.eq(1)",
    ),
    Mutant(
        "all voxels are read from the first half",
        "voxel_reader",
        "word | (read_half << word_bits)",
        "word",
    ),
    Mutant("every tile ends the job", "voxel_reader", "tile_ends & last_tile", "tile_ends"),
    Mutant(
        "every word is full",
        "voxel_reader",
        "Mux(word == last_word, self.last_output, full)",
        "full",
    ),
    Mutant(
        "voxels of a job stay for the next one",
        "voxel_packer",
        "level.eq(Mux(ends & ~overflow.any(), 0, left))",
        "level.eq(left)",
    ),
    Mutant(
        "the last voxels of a job are not flushed",
        "voxel_packer",
        "word.last & overflow.any() & (left != 0)",
        "0",
    ),
    Mutant("tkeep is always full", "voxel_packer", "overflow.any() | (total > number)", "1"),
    Mutant(
        "undefined voxels are delivered",
        "voxel_packer",
        "Mux(word.more >= number, word.value.word_select(number, bits), 0)",
        "word.value.word_select(number, bits)",
    ),
    Mutant("words that were not read are reported", "protection", "decoded & error", "error"),
    Mutant("the sign reaches the check bits", "protection", "word.as_unsigned()", "word"),
    Mutant(
        "steps do not wait for the decoder",
        "core",
        'delay_line(m, sequencer.step, late, name="step")',
        "sequencer.step",
    ),
    Mutant(
        "a lane loses its point before the last coefficient",
        "fourier",
        "delay_line(m, loaded & lane[number], read - 1, name",
        "delay_line(m, loaded & lane[number], 0, name",
    ),
]


def copy(folder: Path) -> dict[str, str]:
    """Copy the repository to a folder; return the environment that imports the copy."""
    for name in ("tests", "bench", "tools", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "constraints.txt", "Makefile"):
        shutil.copy(ROOT / name, folder / name)
    package = folder / "site" / "implicore"
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src" / "implicore", package, ignore=ignored)
    for name in ("hw", "model", "sim"):
        shutil.copytree(ROOT / name, package / name, ignore=ignored)
        (folder / name).symlink_to(package / name)
    (folder / "src").mkdir()
    (folder / "src" / "implicore").symlink_to(package)
    cache = folder / "cache"
    return {"PYTHONPATH": str(folder / "site"), "IMPLICORE_CACHE": str(cache)}


def detect(mutant: Mutant | None) -> tuple[str, float]:
    """Return the test that detects a mutant, or ``""`` if none does, and the seconds it took."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {**os.environ, **copy(folder)}
        if mutant:
            path = folder / "hw" / f"{mutant.file}.py"
            text = path.read_text(encoding="utf-8")
            if text.count(mutant.old) != 1:
                raise SystemExit(
                    f"{mutant.name}: {path.name} must contain {mutant.old!r} exactly once."
                )
            path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-m", "not slow", "--tb=no"]
        begin = time.perf_counter()
        tests = [test for test in TESTS if (folder / test).exists()]
        try:
            done = subprocess.run(
                [*command, "-p", "no:cacheprovider", "-rfE", *tests],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
            )
        except subprocess.TimeoutExpired:
            return "hangs", time.perf_counter() - begin
        seconds = time.perf_counter() - begin
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if done.returncode not in (0, 1):
        return f"pytest ended with {done.returncode}: {done.stdout[-300:]}", seconds
    return (failed[0].split(" ", 1)[1].split(" - ")[0] if failed else ""), seconds


def main(argv=None) -> int:
    """Run the mutants; return 1 if more than one in 25 survives."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("numbers", nargs="*", type=int, help="mutants to run (default: all)")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    chosen = arguments.numbers or range(len(MUTANTS))
    results = {}
    for number in chosen:
        mutant = MUTANTS[number]
        test, seconds = detect(mutant)
        results[mutant.name] = test
        print(f"{number:3} {mutant.name:45} {test or 'SURVIVED'} ({seconds:.0f} s)", flush=True)
    survived = [name for name, test in results.items() if not test]
    print(f"{len(results) - len(survived)} of {len(results)} detected")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")
    return 1 if 25 * len(survived) > len(results) else 0


if __name__ == "__main__":
    sys.exit(main())
