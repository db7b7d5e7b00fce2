import re
import shutil
from dataclasses import replace

import pytest
import synth_library as small

from implicore.accelerator_config import AcceleratorConfig
from implicore.formats import Formats
from implicore.network_shape import NetworkShape
from implicore.process import ToolFailed
from implicore.synth import asic, equivalence, mapping

CONFIG = AcceleratorConfig.sized(
    2, 3, Formats.parse("w4a5m2t12"), [NetworkShape(5, 7, 3)], gate_zeros=True
)
SWAPPED = {"osu018": ("XNOR2X1", "XOR2X1"), "ihp-sg13g2": ("sg13g2_nor2_1", "sg13g2_nand2_1")}


def module_of(name, library):
    """Map one module."""
    mapper = asic.mappers(*asic.sources(CONFIG, library, 4.0))[name]
    return mapper(mapping.RECIPES[0], library)


@pytest.fixture(scope="module", params=["osu018", "ihp-sg13g2"])
def mapped(request):
    """A processing element, which contains a module without a clock, and its library."""
    library = small.cells(request.param)
    return module_of(asic.PE, library), library


def edited(module, folder, pattern, new):
    """Copy a mapped module with one replacement in its netlist."""
    shutil.copytree(module.folder, folder)
    netlist = folder / "netlist.v"
    text, count = re.subn(pattern, new, netlist.read_text(), count=1)
    assert count == 1
    netlist.write_text(text)
    return replace(module, folder=folder)


def test_module_is_equivalent_until_one_cell_is_swapped(mapped, tmp_path):
    module, library = mapped
    assert equivalence.prove(module, library)
    old, new = SWAPPED[library.name]
    wrong = edited(module, tmp_path / "wrong", rf"\b{old}\b", new)
    assert not equivalence.prove(wrong, library)


def test_clock_gate_that_is_never_open_is_found(tmp_path):
    library = small.cells("ihp-sg13g2")
    closed = edited(
        module_of(asic.PE, library), tmp_path / "closed", r"\.GATE\(.*?\)", ".GATE(1'b0)"
    )
    assert not equivalence.prove(closed, library)


def test_children_are_cut_out(mapped, tmp_path):
    """Wires to a child belong to the proof, the child does not."""
    _, library = mapped
    row = module_of("implicore_array_row", library)
    assert equivalence.prove(row, library)
    wrong = edited(row, tmp_path / "wrong", r"(?s)( pe_1 .*?\.done\()(.*?)\)", r"\1clk)")
    assert not equivalence.prove(wrong, library)


def test_proof_is_given_up_after_its_time(mapped, tmp_path):
    module, library = mapped
    checksum = module_of("implicore_program_loader_checksum", library)
    assert not equivalence.prove(checksum, library, limit_s=2)
    broken = edited(module, tmp_path / "broken", r"\A", "module (\n")
    with pytest.raises(ToolFailed, match="syntax error"):
        equivalence.prove(broken, library)
