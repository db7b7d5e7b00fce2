"""The blocks of an accelerator, by which area and energy are reported."""

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
    "implicore_voxel_bank": "voxel banks",
    "implicore_voxel_reader": "voxel reader",
    "implicore_voxel_packer": "voxel packer",
    "implicore_program_loader": "program loader",
}
"""Block names by module. Instances of any other module belong to the block they are in.

The processing elements in the array count as array, the output-layer MACs as row units.
"""


def instances(
    children: Mapping[str, Mapping[str, str]], roles: Mapping[str, str]
) -> Iterator[tuple[str, str, int]]:
    """Yield every module with a block and the number of its instances in that block.

    Parameters
    ----------
    children : mapping
        Instances of every module: label to module. A module without an entry is a leaf.
    roles : mapping
        Contents of every memory, by its module.
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
