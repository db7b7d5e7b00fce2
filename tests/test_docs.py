"""What the documents show: drawn from the source, checked against the Verilog, and run."""

import importlib.util
import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from vcd.reader import TokenKind, tokenize

from implicore.accelerator_config import AcceleratorConfig
from implicore.cycles import predict
from implicore.errors import BadInput
from implicore.fixed import requantize
from implicore.formats import Formats
from implicore.hw.ulx3s import BAUD
from implicore.model.golden import Renderer
from implicore.network_shape import NetworkShape
from implicore.random_program import random_program
from implicore.sim import fast, session
from implicore.sim.memory_map import MemoryMap
from implicore.sim.script import Script
from implicore.sim.serial import SerialBoard
from implicore.synth import target
from implicore.synth.synthesis import synthesize

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
# That of test_sim_simulation, whose waveform is built anyway.
CONFIG = AcceleratorConfig.sized(3, 4, Formats.parse("w8a10"), [NetworkShape(6, 7, 3, (3,))])


def script(folder, name):
    """Load a script of the repository as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # its dataclasses look there
    spec.loader.exec_module(module)
    return module


architecture = script("tools", "architecture")


def test_architecture_is_up_to_date():
    for path, text in architecture.documents().items():
        current = path.read_text(encoding="utf-8")
        assert current == text, f"{path.name} is not up to date: run python tools/architecture.py"


def test_document_states_the_number_of_mutants():
    mutants = script("bench", "mutants").MUTANTS
    stated = re.findall(r"(\d+) ways", (DOCS / "simulation.md").read_text(encoding="utf-8"))
    assert stated == [str(len(mutants))]


def test_module_missing_in_the_diagram_is_detected():
    sidecar = {"modules": {"implicore": 1, "implicore_core": 1, "implicore_new": 2}}
    with pytest.raises(ValueError, match="is either in the Verilog or in the diagram, not both"):
        architecture.diagram(architecture.ACCELERATORS["tiny"], sidecar)


def waveform(config, program, point) -> dict[str, list[int]]:
    """Every signal of the Verilog in each cycle of a job of one voxel, by its name."""
    script = Script(config)
    script.load(program)
    begin = len(script.operations)
    script.points(point[None])
    script.operations.insert(begin, session.Trace(2000))
    script.expected.insert(begin, None)
    simulator = fast.build(config, optimize=False, waves=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "path.vcd"
        responses = simulator.run(script.operations, waves=path)
        tokens = list(tokenize(io.BytesIO(path.read_bytes())))
    assert script.mismatches(responses) == []
    codes, scopes, now, cycles, time = {}, [], {}, [], 1
    for token in tokens:
        match token.kind:
            case TokenKind.SCOPE:
                scopes.append(token.scope.ident)
            case TokenKind.UPSCOPE:
                scopes.pop()
            case TokenKind.VAR:
                name = ".".join([*scopes, token.var.reference])
                codes[name.removeprefix("TOP.implicore.")] = token.var.id_code
            case TokenKind.CHANGE_TIME:
                if time % 2 == 0:  # settled, before the edge
                    cycles.append(dict(now))
                time = token.time_change
            case TokenKind.CHANGE_SCALAR:
                now[token.scalar_change.id_code] = int(token.scalar_change.value)
            case TokenKind.CHANGE_VECTOR:
                now[token.vector_change.id_code] = token.vector_change.value
    return {name: [cycle.get(code, 0) for cycle in cycles] for name, code in codes.items()}


def test_path_of_a_voxel_equals_the_waveform():
    """Compare each event's cycle, found by the value that the golden model has there."""
    shape = NetworkShape(6, 7, 3)
    program = random_program(shape, CONFIG.formats, seed=4)
    point = np.array([3000, -12000, 700])
    wave = waveform(CONFIG, program, point)
    taken = [
        valid and ready
        for valid, ready in zip(
            wave["s_axis_points_tvalid"], wave["s_axis_points_tready"], strict=True
        )
    ]
    start = taken.index(1)

    def first(name, value=1, after=0):
        """The first cycle, from the point's on, in which a signal has a value."""
        return wave[name].index(value, start + after) - start

    def every(name):
        return [cycle - start for cycle, value in enumerate(wave[name]) if value]

    # The same by the golden model's integers.
    formats = CONFIG.formats
    activations = [Renderer(program).features(point[None])[:, 0].astype(int)]
    sums = []
    for number, layer in enumerate(program.layers, 1):
        sums.append(layer.weights.astype(int) @ activations[-1])
        top = formats.output_max if number == shape.depth else formats.activation_max
        constants = (layer.multipliers, layer.offsets, layer.shifts)
        activations.append(requantize(sums[-1], *constants, top))
    feature, weight = int(activations[0][0]), int(program.layers[0].weights[0, 0])
    assert feature and weight and all(sums[0])

    def unsigned(value, bits):
        return int(value) & ((1 << bits) - 1)

    sum_bits, product_bits = formats.accumulator_bits, formats.weight_bits + formats.activation_bits
    unit, row = "core.array.row_0.pe_0", "core.row_0"
    steps, ends = every("core.sequencer.weight_enable"), every("core.sequencer.step.last")
    ends = [cycle for cycle in ends if cycle in steps]
    operands = first(f"{unit}.multiplier.activation", feature)
    assert operands == first(f"{unit}.multiplier.weight", unsigned(weight, formats.weight_bits))
    read = first(f"{row}.features.read_enable")
    assert read == first("core.columns_0.bank.read_enable")
    last_sum = first(f"{row}.sum", unsigned(sums[1][-1], sum_bits), after=ends[-1])
    written = first(f"{row}.hidden.write_enable")
    assert wave[f"{row}.hidden.write_data"][start + written] == activations[1][0]
    into_output_mac = first(
        f"{row}.output_mac_activation_in", int(activations[2][-1]), after=last_sum
    )
    tiles = -(-shape.width // CONFIG.columns)
    measured = [
        0,
        steps[0],
        read,
        operands,
        first(f"{unit}.product", unsigned(feature * weight, product_bits)),
        first(f"{unit}.sum", unsigned(feature * weight, sum_bits)),
        ends[0],
        first(f"{row}.sum", unsigned(sums[0][0], sum_bits)),
        written,
        ends[tiles - 1],
        ends[2 * tiles - 1],
        ends[-1],
        last_sum,
        into_output_mac,
        first(f"{row}.sum", unsigned(sums[2][0], sum_bits), after=into_output_mac),
        first("m_axis_voxels_tvalid"),
    ]
    stations = architecture.path_of_a_voxel(shape, CONFIG)
    assert [cycle for cycle, _ in stations] == measured
    assert wave["m_axis_voxels_tdata"][start + measured[-1]] == activations[3][0]
    assert measured[-1] + 1 == predict(shape, CONFIG, 1).cycles


def blocks(document: str, language: str) -> list[str]:
    """The code blocks of a document in a language."""
    text = (DOCS / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


# The virtual board and the mapped memory of test_host, built once for both.
HOST_SHAPE = NetworkShape(frequencies=3, width=5, depth=3, skips=(2,))
HOST_CONFIG = AcceleratorConfig.sized(3, 2, Formats.parse("w8a8m3"), [HOST_SHAPE])


@pytest.fixture
def host_example(tmp_path, monkeypatch):
    """Run an example of a host beside a program; return the decoded and the expected voxels."""
    program = random_program(HOST_SHAPE, HOST_CONFIG.formats, seed=1)
    program.save(tmp_path / "mri.inr")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("implicore.config_file.read_config", lambda *names: HOST_CONFIG)
    plane = program.grid.middle_plane()

    def run(code):
        code = code.replace('"axial", 12.5', f'"axial", {plane.matrix[2, 3]}')
        names = {}
        exec(compile(code, "example", "exec"), names)
        return names["plane"], Renderer(program).render(plane)

    return run


def test_serial_host_example(host_example, monkeypatch, capsys):
    opened = []

    def port(name, rate, timeout):
        opened.append((name, rate))
        return SerialBoard(HOST_CONFIG, timeout=5000)

    monkeypatch.setitem(sys.modules, "serial", SimpleNamespace(Serial=port))
    (code,) = [block for block in blocks("fpga.md", "python") if "import serial" in block]
    decoded, golden = host_example(code)
    assert (decoded == golden).all() and opened == [("/dev/ttyUSB0", BAUD)]
    assert "'useful_macs': " in capsys.readouterr().out


def test_pynq_example(host_example, monkeypatch):
    with MemoryMap(HOST_CONFIG, optimize=False) as accelerator:
        overlay = SimpleNamespace(
            implicore=SimpleNamespace(mmio=accelerator.registers),
            dma_program=SimpleNamespace(sendchannel=accelerator.program),
            dma_points=SimpleNamespace(
                sendchannel=accelerator.points, recvchannel=accelerator.voxels
            ),
        )
        pynq = SimpleNamespace(Overlay=lambda name: overlay, allocate=np.zeros)
        monkeypatch.setitem(sys.modules, "pynq", pynq)
        (code,) = [block for block in blocks("fpga.md", "python") if "import Overlay" in block]
        decoded, golden = host_example(code)
        assert (decoded == golden).all()


def test_python_api_script_runs(tmp_path):
    done = subprocess.run(
        [sys.executable, DOCS / "python_api.py", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^0 of \d+ voxels differ$", done.stdout, re.MULTILINE)
    cycles, predicted = re.search(r"^(\d+) cycles, (\d+) predicted", done.stdout, re.M).groups()
    assert cycles == predicted
    assert float(done.stdout.split()[0]) > 25
    assert (tmp_path / "crop.inr").is_file() and (tmp_path / "verilog" / "implicore.v").is_file()


@pytest.fixture
def worked_example(tmp_path):
    """The description of a library that stands in the document, in a file."""
    (text,) = [block for block in blocks("synthesis.md", "toml") if "osu035" in block]
    path = tmp_path / "osu035.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_target_example_is_valid(worked_example, monkeypatch):
    monkeypatch.setattr(Path, "is_file", lambda path: True)
    found = target.find(str(worked_example))
    assert found.liberty == Path("/usr/share/qflow/tech/osu035/osu035_stdcells.lib")
    assert found.driver == "BUFX2" and "0.35 um and 3.3 V" in found.memories


@pytest.mark.slow
def test_target_example_synthesizes(worked_example, tmp_path):
    try:
        target.find(str(worked_example))
    except BadInput as error:
        pytest.skip(str(error))
    program = random_program(HOST_SHAPE, HOST_CONFIG.formats, seed=1)
    metrics = synthesize(HOST_CONFIG, str(worked_example), tmp_path / "mine", program=program)
    assert metrics["area_um2"] > metrics["logic_area_um2"] > 0
    assert 10 < metrics["fmax_mhz"] < 400 and metrics["nj_per_voxel"] > 0
    assert "BUFX2" in (tmp_path / "mine" / "netlist.v").read_text(encoding="utf-8")
