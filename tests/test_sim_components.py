"""Components of the Verilog under cocotb, in both simulators."""

import re

import pytest

from implicore.config import Formats, NetworkShape
from implicore.machine import AcceleratorConfig
from implicore.sim import components, simulators, tools

SHAPE = NetworkShape(4, 5, 3, (2,))
CONFIGS = {
    "w8a12": AcceleratorConfig.sized(3, 4, Formats.parse("w8a12"), [SHAPE]),
    "w5a9m4t12": AcceleratorConfig.sized(
        2, 3, Formats.parse("w5a9m4t12"), [SHAPE], gate_zeros=True
    ),
}


@pytest.mark.parametrize(
    ("simulator", "name"), [("icarus", "w8a12"), ("icarus", "w5a9m4t12"), ("verilator", "w8a12")]
)
def test_components(simulator, name):
    seed = 1
    print("seed", seed)
    assert components.bench(CONFIGS[name], simulator, seed) == len(components.BENCHED)


BREAKS = {
    "array_row": ("implicore_array_row", r"(sum <= .*);", r"\1 ^ 1;"),
    "requantizer": ("implicore_requantizer", r"(result <= .*);", r"\1 ^ 1;"),
    "coordinate_generator": (
        "implicore_coordinate_generator",
        r"(voxel <= .*);",
        r"\1 ^ 120'h40000000;",  # one bit of x
    ),
    "ram_features": ("implicore_ram_features", r"(words\[write_address\])", "words[0]"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_component_fails(name, monkeypatch, tmp_path):
    module, old, new = BREAKS[name]
    config = CONFIGS["w8a12"]
    sources = []
    changed = 0
    for path in simulators.verilog(config):
        parts = re.split(r"(?<=endmodule\n)", path.read_text())
        for number, part in enumerate(parts):
            if re.search(rf"^module {module} *\(", part, re.M):
                parts[number], count = re.subn(old, new, part)
                changed += count
        sources.append(tmp_path / path.name)
        sources[-1].write_text("".join(parts))
    assert changed
    monkeypatch.setattr(simulators, "verilog", lambda config: sources)
    with pytest.raises(tools.ToolFailed):
        components.bench(config, "icarus", 1)
