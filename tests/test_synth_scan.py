"""Netlists for scan: the test enable of every clock gate is an input."""

from dataclasses import replace

import pytest
import synth_library as small

from implicore.errors import BadInput
from implicore.random_program import random_program
from implicore.synth import energy
from implicore.synth.netlist import Netlist
from implicore.synth.synthesis import synthesize


@pytest.fixture(scope="module")
def designs():
    """Map the same accelerator for operation alone and for scan."""
    library = small.cells("ihp-sg13g2")
    return small.mapped(small.SMALL, library), small.mapped(small.SMALL, library.for_scan())


def gates(design):
    """Number of clock gates by type, of one instance of each module."""
    kinds = [kind for module in design.modules.values() for kind in module.cells.items()]
    found = {}
    for kind, count in kinds:
        if "lgcp" in kind:
            found[kind] = found.get(kind, 0) + count
    return found


def test_only_the_clock_gates_differ(designs):
    plain, scan = designs
    assert gates(plain) == {"sg13g2_lgcp_1": gates(scan)["sg13g2_slgcp_1"]}
    for name, module in plain.modules.items():
        cells = {kind.replace("_slgcp", "_lgcp"): n for kind, n in scan.modules[name].cells.items()}
        assert cells == module.cells
    assert "test_enable" not in "".join(
        (module.folder / "netlist.v").read_text() for module in plain.modules.values()
    )


def test_test_enable_reaches_every_clock_gate(designs):
    _, scan = designs
    netlists = {
        name: Netlist.read(module.folder / "netlist.json", name)
        for name, module in scan.modules.items()
    }
    reached = 0
    for netlist in netlists.values():
        way, bits = netlist.ports["test_enable"]
        assert way == "input"
        for kind, pins in netlist.cells.values():
            if kind in netlists:
                assert pins["test_enable"] == bits
            elif kind == "sg13g2_slgcp_1":
                assert pins["SCE"] == bits
                reached += 1
    assert reached == gates(scan)["sg13g2_slgcp_1"] > 20


def test_scan_netlist_decodes_with_its_test_enable_low(designs):
    _, scan = designs
    found = energy.simulate(scan, random_program(small.NETWORK, small.FORMATS, seed=1))
    assert found.voxels > 0


def test_library_without_such_a_clock_gate_is_reported():
    """One without any clock gate needs no test enable."""
    library = small.cells("osu018")
    assert library.for_scan() == library
    gated = replace(library, clock_gate=("ICG", "E", "CK", "Q"))
    message = r"^The target osu018 has no clock gate with a test enable: name one in scan_clock_"
    with pytest.raises(BadInput, match=message):
        gated.for_scan()
    with pytest.raises(BadInput, match=r"^The target ecp5 is no cell library: omit --"):
        synthesize(small.SMALL, "ecp5", "unused", scan=True)
