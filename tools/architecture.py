"""Write the generated parts of `docs/architecture.md`: the block diagram and the path of a voxel.

    python tools/architecture.py

Blocks, counts and sizes come from the Verilog of the preset `medium`. A module without a block in
the diagram is an error. The cycles of the path come from `implicore.dataflow` and
`implicore.cycles`; `tests/test_docs.py` compares them with the Verilog.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from html import escape
from pathlib import Path

from implicore.accelerator_config import ACCELERATORS, AcceleratorConfig
from implicore.atomic import atomic_write
from implicore.cycles import TOKEN_TO_SUM, last_steps, predict
from implicore.dataflow import (
    PE_LATENCY,
    mapper_cycles,
    mapper_latency,
    output_mac_latency,
    requantizer_latency,
)
from implicore.hw.verilog import PREFIX, generate
from implicore.network_shape import NETWORKS, NetworkShape

DOCS = Path(__file__).resolve().parent.parent / "docs"
DIAGRAM = DOCS / "architecture.svg"
DOCUMENT = DOCS / "architecture.md"
PRESET, NETWORK = "medium", "demo"
BEGIN, END = "<!-- path of a voxel: tools/architecture.py -->", "<!-- end of the path -->"

WIDTH, HEIGHT = 1040, 600
LINE = 17
"""Pixels between two lines of text."""

COLOURS = {"control": "#e8eaf6", "compute": "#e0f2f1", "memory": "#fff3e0", "edge": "#ffffff"}


@dataclass(frozen=True)
class Block:
    """A box of the diagram.

    ``modules`` are Verilog modules without their prefix. ``text`` is formatted with ``values``.
    """

    x: int
    y: int
    width: int
    height: int
    kind: str
    modules: tuple[str, ...]
    title: str
    text: tuple[str, ...] = ()


BLOCKS = (
    Block(
        *(190, 30, 200, 74, "control", ("control_registers",), "control registers"),
        ("jobs, grid, status, counters", "{registers} registers"),
    ),
    Block(
        *(190, 134, 200, 74, "control", ("program_loader",), "program loader"),
        ("header, sizes, CRC-32;", "fills the orange memories"),
    ),
    Block(
        *(190, 238, 200, 74, "compute", ("coordinate_generator",), "coordinate generator"),
        ("the points of a grid,", "without a multiplier"),
    ),
    Block(
        *(450, 30, 240, 74, "control", ("sequencer",), "sequencer"),
        ("issue control: one step a cycle", "drain control: one token a cycle"),
    ),
    Block(*(450, 134, 240, 50, "memory", ("ram_coefficients",), "B"), ("{ram_coefficients}",)),
    Block(
        *(450, 208, 240, 108, "compute"),
        ("fourier_mapper", "fourier_lane", "sin_cos_table", "rom"),
        "Fourier mapper",
        ("{fourier_lane} lanes, each:", "multiply-accumulate (phase)", "{rom} sine table"),
    ),
    Block(*(750, 30, 250, 50, "memory", ("ram_constants",), "constants"), ("{ram_constants}",)),
    Block(
        *(750, 104, 250, 74, "memory", ("column_unit", "ram_weights"), "weights"),
        ("{ram_weights}", "for {columns} columns"),
    ),
    Block(
        *(750, 230, 250, 108, "compute"),
        ("systolic_array", "array_row", "processing_element", "multiplier"),
        "systolic array",
        (
            "{array_row} rows: a voxel each",
            "{columns} columns: a neuron each",
            "drain of a row: AND-OR",
        ),
    ),
    Block(
        *(450, 362, 550, 130, "compute", ("row_unit", "requantizer"), "row units, {row_unit}"),
        (
            "requantizer: scale, offset, saturation; {requantizer_latency} cycles",
            "output-layer MAC: one more processing element",
        ),
    ),
    Block(
        *(466, 436, 250, 44, "memory", ("ram_features",), "features"),
        ("{ram_features}",),
    ),
    Block(
        *(734, 436, 250, 44, "memory", ("ram_hidden",), "activations"),
        ("{ram_hidden}",),
    ),
    Block(
        *(450, 522, 240, 50, "compute", ("voxel_buffer",), "voxel buffer"),
        ("{rows} voxels of {output_bits} bits",),
    ),
)

PORTS = (
    ("s_axi", 67, "AXI4-Lite, {s_axi_wdata} bits"),
    ("s_axis_program", 171, "stream, {s_axis_program_tdata} bits"),
    ("s_axis_points", 340, "stream, {s_axis_points_tdata} bits"),
    ("m_axis_voxels", 547, "stream, {m_axis_voxels_tdata} bits"),
)

ARROWS = (
    ("in and out", [(150, 67), (190, 67)]),
    ("in", [(150, 171), (190, 171)]),
    ("in", [(150, 340), (420, 340), (420, 290), (450, 290)]),
    ("grid", [(290, 104), (290, 119), (410, 119), (410, 222), (290, 222), (290, 238)]),
    ("program", [(390, 159), (450, 159)]),
    ("points", [(390, 275), (450, 275)]),
    ("coefficients", [(570, 184), (570, 208)]),
    ("features", [(570, 316), (570, 362)]),
    ("tokens", [(690, 55), (750, 55)]),
    ("steps", [(690, 80), (720, 80), (720, 141), (750, 141)]),
    ("steps", [(720, 141), (720, 362)]),
    ("constants", [(1000, 55), (1020, 55), (1020, 400), (1000, 400)]),
    ("weights", [(875, 178), (875, 230)]),
    ("operands", [(800, 362), (800, 338)]),
    ("sums", [(950, 338), (950, 362)]),
    ("voxels", [(570, 492), (570, 522)]),
    ("out", [(450, 547), (150, 547)]),
)
"""Paths of data from source to destination; the names are titles in the SVG."""

LABELS = (
    (698, 48, "tokens"),
    (728, 98, "steps"),
    (576, 344, "features"),
    (806, 356, "activations"),
    (956, 356, "sums"),
    (576, 512, "voxels"),
    (396, 268, "points"),
)


def values(config: AcceleratorConfig, sidecar: dict) -> dict:
    """Return the values that format the texts of the diagram."""
    counts = {name.removeprefix(f"{PREFIX}_"): n for name, n in sidecar["modules"].items()}
    texts = {}
    for memory in sidecar["memories"]:
        size = f"{memory['depth']:,} x {memory['width']} bits"
        count = memory["instances"]
        texts[f"ram_{memory['role']}"] = f"{count} banks of {size}" if count > 1 else size
    address_bits = config.formats.table_address_bits
    texts["rom"] = f"{1 << address_bits:,}-phase"
    return {
        **counts,
        **texts,
        "row_unit": f"{counts['row_unit']} of them",
        "registers": len(sidecar["registers"]),
        "rows": config.rows,
        "columns": config.columns,
        "output_bits": config.formats.output_bits,
        "requantizer_latency": requantizer_latency(config.formats),
        **{port["name"]: port["width"] for port in sidecar["ports"]},
    }


def diagram(config: AcceleratorConfig, sidecar: dict) -> str:
    """Return the block diagram as SVG.

    Raises
    ------
    ValueError
        A module is missing from the diagram, or the diagram shows one that does not exist.
    """
    shown = {f"{PREFIX}_{name}" for block in BLOCKS for name in block.modules}
    for name in set(sidecar["modules"]) ^ (shown | {PREFIX, f"{PREFIX}_core"}):
        raise ValueError(f"The module {name} is either in the Verilog or in the diagram, not both.")
    fill = values(config, sidecar)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="system-ui, sans-serif" font-size="13" fill="#1a1a1a">',
        f"<title>The accelerator: {config.rows} x {config.columns}, {config.formats}</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto-start-reverse"><path d="M0 0 8 4 0 8z" fill="#455a64"/>'
        "</marker></defs>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<rect x="170" y="12" width="{WIDTH - 182}" height="{HEIGHT - 24}" rx="8" fill="none" '
        'stroke="#90a4ae" stroke-dasharray="5 4"/>',
    ]
    for block in BLOCKS:
        x, y = block.x, block.y
        parts.append(
            f'<rect x="{x}" y="{y}" width="{block.width}" height="{block.height}" rx="5" '
            f'fill="{COLOURS[block.kind]}" stroke="#78909c"/>'
        )
        lines = [block.title, *block.text]
        for number, line in enumerate(lines):
            weight = "" if number else ' font-weight="600"'
            text = escape(line.format(**fill))
            parts.append(f'<text x="{x + 12}" y="{y + 20 + LINE * number}"{weight}>{text}</text>')
    for name, points in ARROWS:
        path = " ".join(f"{x},{y}" for x, y in points)
        start = ' marker-start="url(#tip)"' if name == "in and out" else ""
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="#455a64" stroke-width="1.5"{start} '
            f'marker-end="url(#tip)"><title>{name}</title></polyline>'
        )
    for x, y, text in LABELS:
        parts.append(f'<text x="{x}" y="{y}" font-size="12" fill="#455a64">{text}</text>')
    for name, y, text in PORTS:
        parts.append(f'<text x="12" y="{y - 4}" font-family="monospace">{name}</text>')
        parts.append(f'<text x="12" y="{y + 13}" fill="#546e7a">{text.format(**fill)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def path_of_a_voxel(shape: NetworkShape, config: AcceleratorConfig) -> list[tuple[int, str]]:
    """Return cycle and event of each station on the path of a job's only voxel, in row 0.

    Its point is accepted in cycle 0. The network's output layer must run on the output-layer MACs,
    and its hidden layers must have more than one column tile.
    """
    requantizer = requantizer_latency(config.formats)
    first = mapper_cycles(shape.frequencies, 1, config.lanes) - 1 + mapper_latency(config.formats)
    ends = last_steps(shape, config)
    drained = ends[0][0] + 1 + TOKEN_TO_SUM
    used = shape.width - (len(ends[-1]) - 1) * config.columns
    last_sum = ends[-1][-1] + used + TOKEN_TO_SUM
    shown = last_sum + output_mac_latency(config.formats) + requantizer + 2
    layers = len(ends)
    stations = [
        (0, "the point is accepted by the Fourier mapper"),
        (
            first,
            f"all {shape.features} features are in the bank of row 0; the first step is issued, "
            "for input 0 of layer 1",
        ),
        (first + 1, "feature and weight are read"),
        (first + PE_LATENCY, "both are in the operand registers of PE (0, 0)"),
        (first + PE_LATENCY + 1, "the product is registered"),
        (first + PE_LATENCY + 2, "the product is accumulated"),
        (ends[0][0], f"last step of the first {config.columns} neurons of layer 1"),
        (drained, "the accumulator of neuron 0 has drained into the sum register of the row"),
        (drained + requantizer, "its activation is written to the activation bank"),
    ]
    stations += [
        (steps[-1], f"last step of layer {number}") for number, steps in enumerate(ends[:2], 1)
    ]
    stations += [
        (ends[-1][-1], f"last step of layer {layers}, the last one on the array"),
        (last_sum, "the accumulator of its last neuron has drained"),
        (
            last_sum + requantizer,
            "its activation enters the output-layer MAC, as those of all neurons before it",
        ),
        (
            last_sum + output_mac_latency(config.formats),
            f"the bypass sum, which is layer {shape.depth}, enters the requantizer",
        ),
        (shown, "the voxel is valid on `m_axis_voxels`"),
    ]
    return stations


def table(shape: NetworkShape, config: AcceleratorConfig) -> str:
    """Return the path as Markdown."""
    total = predict(shape, config, 1).cycles
    lines = ["| Cycle | Event |", "|---:|---|"]
    lines += [f"| {cycle:,} | {text} |" for cycle, text in path_of_a_voxel(shape, config)]
    lines += ["", f"A job of one voxel takes {total:,} cycles."]
    return "\n".join(lines) + "\n"


def documents() -> dict[Path, str]:
    """Return the files that this script writes, with their contents."""
    config = ACCELERATORS[PRESET]
    with tempfile.TemporaryDirectory() as name:
        generate(config, Path(name))
        sidecar = json.loads((Path(name) / f"{PREFIX}.json").read_text(encoding="utf-8"))
    text = DOCUMENT.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    path = f"{BEGIN}\n\n{table(NETWORKS[NETWORK], config)}\n{END}"
    return {DIAGRAM: diagram(config, sidecar), DOCUMENT: before + path + after}


def main() -> int:
    """Write the files."""
    for path, text in documents().items():
        with atomic_write(path) as temporary:
            Path(temporary).write_text(text, encoding="utf-8")
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
