"""Which block of the accelerator a module's instances belong to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

TOP = "implicore"

BLOCKS = {
    "implicore": "control",
    "implicore_systolic_array": "array",
    "implicore_row_unit": "row units",
    "implicore_column_unit": "column units",
    "implicore_requantizer": "requantizers",
    "implicore_fourier_mapper": "Fourier mapper",
    "implicore_sin_cos_table": "sine tables",
    "implicore_coordinate_generator": "coordinates",
    "implicore_voxel_buffer": "voxel buffer",
    "implicore_program_loader": "program loader",
}
"""Modules that are a block; any other one belongs to the block that it stands in.

So the processing elements in the array are the array's, and the output-layer MACs the row units'.
"""


def instances(
    children: Mapping[str, Mapping[str, str]], roles: Mapping[str, str]
) -> Iterator[tuple[str, str, int]]:
    """Every module with its block and the number of its instances there.

    Parameters
    ----------
    children : mapping
        Of every module: its instances, label to module. What has no entry is a leaf.
    roles : mapping
        Of every memory's module: what it holds.
    """
    counts: dict[tuple[str, str], int] = {}

    def visit(name: str, block: str, times: int) -> None:
        block = f"memory {roles[name]}" if name in roles else BLOCKS.get(name, block)
        counts[name, block] = counts.get((name, block), 0) + times
        inside = list(children.get(name, {}).values())
        for child in dict.fromkeys(inside):
            visit(child, block, times * inside.count(child))

    visit(TOP, BLOCKS[TOP], 1)
    for (name, block), times in counts.items():
        yield name, block, times
