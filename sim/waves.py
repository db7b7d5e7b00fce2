"""A waveform of the first cycles of a job, and a GTKWave save file with the main signals."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from implicore.accelerator_config import AcceleratorConfig
from implicore.atomic import atomic_write

from . import fast, session

WINDOW = 2000
"""Cycles to record, unless the caller chooses another number."""

SHOWN = {
    "job": ["clk", "rst", "running"],
    "points": [f"s_axis_points_t{name}" for name in ("valid", "ready", "last", "data")],
    "features": ["core.mapper.full", "core.mapper.enables", "core.mapper.features"],
    "sequencer": [
        *("core.sequencer.step", "core.sequencer.weight_address", "core.sequencer.drain"),
        *("core.sequencer.write_address", "core.sequencer.voxel", "core.sequencer.fsm_state"),
    ],
    "row 0": [
        *("core.row_0.activation", "core.row_0.last", "core.row_0.sum", "core.row_0.bypass_sum"),
        *("core.row_0.voxel_valid", "core.row_0.voxel"),
        *("core.row_0.read_enable", "core.row_0.read_address", "core.row_0.word"),
    ],
    "column 0": ["core.columns_0.weights"],
    "voxels": [f"m_axis_voxels_t{name}" for name in ("valid", "ready", "last", "keep", "data")],
}
"""Signals of the save file by group; signals that a configuration lacks are omitted."""

HEXADECIMAL, BINARY, COMMENT = "@22", "@28", "@200"
"""GTKWave's flags of an entry."""


def record(
    config: AcceleratorConfig,
    operations: Sequence,
    begin: int,
    path: Path,
    *,
    stall: float = 0.0,
    seed: int = 0,
    window: int = WINDOW,
) -> None:
    """Record the first cycles of a job, in a separate run of the compiled simulator.

    The other simulators run the same Verilog, cycle for cycle.

    Parameters
    ----------
    config : AcceleratorConfig
    operations : sequence
        A session with one job.
    begin : int
        Index of the operation at which the recording begins.
    path : Path
        The VCD file; the save file has the same name with the ending .gtkw.
    stall, seed : float, int
        Stalls and seed of the session.
    window : int
        Cycles to record.
    """
    job = next(
        n for n in range(begin, len(operations)) if isinstance(operations[n], session.Decode)
    )
    decode = operations[job]
    first = session.Decode(min(window, decode.limit), decode.points)
    short = [*operations[:begin], session.Trace(window), *operations[begin:job], first]
    with tempfile.TemporaryDirectory() as name:
        draft = Path(name) / "waves.vcd"
        fast.build(config, optimize=False, waves=True).run(
            short, stall=stall, seed=seed, waves=draft
        )
        content = draft.read_bytes()
    with atomic_write(path) as temporary:
        Path(temporary).write_bytes(content)
    header = content[: content.index(b"$enddefinitions")].decode()
    with atomic_write(path.with_suffix(".gtkw")) as temporary:
        Path(temporary).write_text(save_file(header, path.name), encoding="utf-8")


def signals(header: str) -> dict[str, tuple[str, int]]:
    """Return GTKWave's name and the width of each signal in a VCD header, by its Verilog name."""
    found, scopes = {}, []
    for line in header.splitlines():
        match line.split():
            case ["$scope", _, name, "$end"]:
                scopes.append(name)
            case ["$upscope", "$end"]:
                scopes.pop()
            case ["$var", _, width, _, name, *rest, "$end"]:
                path = [*scopes, name]
                if "implicore" in path:
                    below = path[path.index("implicore") + 1 :]
                    found[".".join(below)] = (".".join(path) + "".join(rest), int(width))
    return found


def save_file(header: str, waveform: str) -> str:
    """Return a GTKWave save file for a waveform with this VCD header."""
    present = signals(header)
    lines = [f'[dumpfile] "{waveform}"', "[timestart] 0"]
    for group, names in SHOWN.items():
        shown = [present[name] for name in names if name in present]
        # The waveform holds a signal with fields as separate fields.
        for name in names:
            if name not in present:
                fields = re.compile(rf"{re.escape(name)}\.\w+$")
                shown += [entry for other, entry in present.items() if fields.match(other)]
        if shown:
            lines += [COMMENT, f"-{group}"]
        for name, width in shown:
            lines += [BINARY if width == 1 else HEXADECIMAL, name]
    return "\n".join(lines) + "\n"
