import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from implicore.accelerator_config import ACCELERATORS, AcceleratorConfig
from implicore.formats import Formats
from implicore.hw.verilog import PREFIX, generate, memory_list
from implicore.network_shape import NETWORKS
from implicore.registers import REGISTERS, addresses

TINY = AcceleratorConfig.sized(3, 2, Formats.parse("w4a5m2t12"), [NETWORKS["fast"]])
CONFIGS = {"tiny": TINY, "small": ACCELERATORS["small"], "gated": None}
CONFIGS["gated"] = AcceleratorConfig(1, 1, Formats(8, 8), 1, 1, 1, 2, 1, gate_zeros=True)


@pytest.fixture(scope="module", params=CONFIGS)
def generated(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    result = generate(CONFIGS[request.param], folder)
    return CONFIGS[request.param], folder, result


def sources(folder: Path) -> list[str]:
    return [str(folder / f"{PREFIX}.v"), str(folder / f"{PREFIX}_memories.v")]


def test_each_component_is_one_module(generated):
    config, folder, result = generated
    modules = re.findall(
        r"^module (\w+)", "".join(Path(s).read_text() for s in sources(folder)), re.M
    )
    assert len(set(modules)) == len(modules)
    sidecar = json.loads((folder / f"{PREFIX}.json").read_text())
    counts = sidecar["modules"]
    assert result["modules"] == len(counts)
    assert counts[f"{PREFIX}_multiplier"] == config.rows * (config.columns + 1)
    assert counts[f"{PREFIX}_array_row"] == config.rows
    assert counts[f"{PREFIX}_fourier_lane"] == config.lanes
    assert set(counts) <= set(modules)


def test_output_depends_on_the_configuration_only(generated, tmp_path):
    config, folder, _ = generated
    generate(config, tmp_path / "elsewhere")
    for path in folder.iterdir():
        content = path.read_text()
        assert content == (tmp_path / "elsewhere" / path.name).read_text()
        assert str(folder) not in content
        assert "$" not in content.replace("$signed", "")
        assert not re.search(r"\.py|site-packages|20\d\d-", content)


def test_sidecar_and_header(generated):
    config, folder, _ = generated
    sidecar = json.loads((folder / f"{PREFIX}.json").read_text())
    assert AcceleratorConfig.from_dict(sidecar["configuration"]) == config
    assert sidecar["digest"] == f"{config.digest:08x}"
    memories = {memory["role"]: memory for memory in sidecar["memories"]}
    assert memories == {memory["role"]: memory for memory in memory_list(config)}
    assert memories["weights"]["depth"] == config.weight_depth
    assert memories["weights"]["instances"] == config.weight_banks
    assert memories["features"]["instances"] == config.rows
    assert [r["address"] for r in sidecar["registers"]] == list(addresses().values())
    header = (folder / f"{PREFIX}.h").read_text()
    for register in REGISTERS:
        define = f"#define IMPLICORE_{register.name.upper()} 0x{addresses()[register.name]:02x}u"
        assert define in header


def test_the_header_compiles(generated, tmp_path):
    _, folder, _ = generated
    program = tmp_path / "main.c"
    program.write_text('#include "implicore.h"\nint main(void) { return IMPLICORE_IDENTITY; }\n')
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("g++")
    command = [compiler, "-Wall", "-Werror", f"-I{folder}", str(program), "-o", str(tmp_path / "a")]
    subprocess.run(command, check=True)


def test_blackbox_memories_have_the_same_ports(generated, tmp_path):
    config, folder, _ = generated
    generate(config, tmp_path, memories="blackbox")
    assert (tmp_path / f"{PREFIX}.v").read_text() == (folder / f"{PREFIX}.v").read_text()
    name = f"{PREFIX}_memories.v"
    inferred, blackbox = (folder / name).read_text(), (tmp_path / name).read_text()
    ports = re.findall(r"^module.*?\);", inferred.replace("output reg", "output"), re.S | re.M)
    assert ports == re.findall(r"^module.*?\);", blackbox, re.S | re.M)
    assert " reg " not in blackbox and blackbox.count("(* blackbox *)") == len(ports)
    with pytest.raises(ValueError, match=r"^Memories must be inferred or blackbox, not 'sram'\.$"):
        generate(config, tmp_path, memories="sram")


def test_verilog_size_barely_depends_on_the_array(tmp_path):
    """Each distinct component is elaborated and written once, however many instances it has."""
    small = generate(ACCELERATORS["tiny"], tmp_path / "tiny")
    large = generate(ACCELERATORS["paper"], tmp_path / "paper")
    assert small["modules"] <= large["modules"] <= small["modules"] + 2
    assert large["bytes"] < 3 * small["bytes"]  # of 256 times the processing elements
