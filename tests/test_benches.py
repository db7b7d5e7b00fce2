"""Components of the generated Verilog under cocotb, in both simulators."""

import re
from dataclasses import replace

import pytest

from benches import verilog
from implicore.accelerator_config import AcceleratorConfig
from implicore.formats import Formats
from implicore.network_shape import NetworkShape
from implicore.process import ToolFailed
from implicore.sim import simulators

SHAPE = NetworkShape(4, 5, 3, (2,))
PATCHES = NetworkShape(3, 4, 2, outputs=7)
CONFIGS = {
    "w8a12": AcceleratorConfig.sized(3, 4, Formats.parse("w8a12"), [SHAPE]),
    "w5a9m4t12": AcceleratorConfig.sized(
        2, 3, Formats.parse("w5a9m4t12"), [SHAPE], gate_zeros=True, protection="secded"
    ),
    "patches": replace(
        AcceleratorConfig.sized(3, 2, Formats.parse("w8a8o11"), [SHAPE, PATCHES]),
        voxels_per_beat=4,
    ),
}


@pytest.mark.parametrize(
    ("simulator", "name"),
    [
        ("icarus", "w8a12"),
        ("icarus", "w5a9m4t12"),
        ("icarus", "patches"),
        ("verilator", "w8a12"),
        ("verilator", "patches"),
    ],
)
def test_components(simulator, name):
    seed = 1
    print("seed", seed)
    assert verilog.bench(CONFIGS[name], simulator, seed) == len(verilog.benched(CONFIGS[name]))


@pytest.mark.parametrize("name", ["w8a12", "patches"])
def test_every_output_is_looked_at(name):
    """Wrong in one bit, each of them makes its component's bench fail."""
    assert verilog.bench_faults(CONFIGS[name], "icarus", 1) > 60


def broken(tmp_path, module, old, new):
    """The Verilog with a replacement in one module."""
    sources, changed = [], 0
    for path in simulators.verilog(CONFIGS["w8a12"]):
        parts = re.split(r"(?<=endmodule\n)", path.read_text())
        for number, part in enumerate(parts):
            if re.search(rf"^module implicore_{module} *\(", part, re.M):
                parts[number], count = re.subn(old, new, part)
                changed += count
        sources.append(tmp_path / path.name)
        sources[-1].write_text("".join(parts))
    assert changed
    return sources


def test_a_broken_component_fails_and_its_seed_repeats_the_failure(monkeypatch, tmp_path):
    sources = broken(tmp_path, "requantizer", r"(result <= .*);", r"\1 ^ 1;")
    monkeypatch.setattr(simulators, "verilog", lambda config: sources)

    def failure(seed):
        with pytest.raises(ToolFailed, match=f"seed {seed}:") as failed:
            verilog.bench(CONFIGS["w8a12"], "icarus", seed, only="requantizer")
        return re.findall(r"AssertionError.*", str(failed.value))

    first = failure(7)
    assert first and failure(7) == first != failure(8)


def test_a_bench_that_overlooks_an_output_fails(monkeypatch):
    """The first output is wrong, which is not the core's."""
    wrapper = verilog.wrapper

    def counted_wrongly(text, modules):
        text, inputs, outputs = wrapper(text, modules)
        return text, inputs, outputs[-1:]

    monkeypatch.setattr(verilog, "wrapper", counted_wrongly)
    with pytest.raises(ToolFailed, match=r"core passes with a wrong voxels__valid"):
        verilog.bench_faults(CONFIGS["w8a12"], "icarus", 1)
