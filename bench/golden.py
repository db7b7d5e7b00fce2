"""Speed of the golden model, compared with torch in float32 and ONNX Runtime in int8.

The decoders of a network run in turn in one process, on one thread: torch in float32, ONNX Runtime
with static 8-bit quantization, and the golden model in each format. The ratio to torch is the
median of the ratios of all rounds. In the last rows, the golden model renders the whole volume from
single voxels and from patches in turn. ``python bench/golden.py --help`` lists the options.
"""

from __future__ import annotations

import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from harness import Table, parser, run

from implicore.fixed import COORDINATE, FREQUENCY
from implicore.formats import Formats
from implicore.model.bundled import bundled_mri
from implicore.model.compiler import compile_model
from implicore.model.golden import Renderer
from implicore.model.network import FourierNetwork
from implicore.model.train import fit
from implicore.model.volume import crop, load_volume
from implicore.network_shape import NETWORKS, PRESET_PATCHES
from implicore.patch import POINT

POINTS = 1 << 16
TARGETS = {"w8a8": 0.5, "w8a12": 0.3}
"""Goals by format, as shares of torch's rate."""
PAIR = "demo", "patch"
PAIR_TARGET = 20.0
"""Goal of the second network of ``PAIR``, as a multiple of the first one's rate."""


def torch_decoder(model):
    """Return a function that decodes integer coordinates (n, 3) with torch."""
    network = FourierNetwork.from_model(model).eval()

    @torch.inference_mode()
    def decode(points):
        x = torch.from_numpy(points.astype(np.float32) * np.float32(COORDINATE.step))
        for block in x.split(8192):
            network(block)

    return decode


def onnx_decoder(model, calibration):
    """Return the same function for ONNX Runtime in static 8-bit quantization; None if missing."""
    try:
        import onnx
        import onnxruntime as ort
        from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    except ImportError:
        return None
    from onnx import TensorProto, helper, numpy_helper

    nodes, tensors = [], []

    def constant(name, array):
        tensors.append(numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name))
        return name

    angles = 2 * np.pi * FREQUENCY.step * model.frequencies.T
    nodes.append(helper.make_node("MatMul", ["x", constant("angles", angles)], ["turns"]))
    nodes.append(helper.make_node("Cos", ["turns"], ["cos"]))
    nodes.append(helper.make_node("Sin", ["turns"], ["sin"]))
    nodes.append(helper.make_node("Concat", ["cos", "sin"], ["features"], axis=1))
    hidden = "features"
    for number, size in enumerate(model.shape.layers):
        if size.features and size.hidden:
            nodes.append(helper.make_node("Concat", ["features", hidden], [f"in{number}"], axis=1))
            hidden = f"in{number}"
        names = [
            hidden,
            constant(f"w{number}", model.weights[number].T),
            constant(f"b{number}", model.biases[number]),
        ]
        nodes.append(helper.make_node("Gemm", names, [f"z{number}"], name=f"layer{number}"))
        hidden = f"z{number}"
        if number + 1 < model.shape.depth:
            nodes.append(helper.make_node("Relu", [hidden], [f"a{number}"]))
            hidden = f"a{number}"
    graph = helper.make_graph(
        nodes,
        "inr",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info(hidden, TensorProto.FLOAT, ["n", model.shape.outputs])],
        tensors,
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    class Reader(CalibrationDataReader):
        batches = iter([{"x": calibration}])

        def get_next(self):
            return next(self.batches, None)

    with tempfile.TemporaryDirectory() as folder:
        plain, quantized = str(Path(folder) / "f.onnx"), str(Path(folder) / "q.onnx")
        onnx.save(proto, plain)
        quantize_static(
            plain,
            quantized,
            Reader(),
            op_types_to_quantize=["Gemm"],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = ort.InferenceSession(quantized, options, providers=["CPUExecutionProvider"])

    def decode(points):
        x = points.astype(np.float32) * np.float32(COORDINATE.step)
        for start in range(0, len(x), 8192):
            session.run(None, {"x": x[start : start + 8192]})

    return decode


COLUMNS = {
    "network": ("network", "<9"),
    "decoder": ("decoder", "<18"),
    "voxels_per_second": ("voxels/s", ",.0f"),
    "of_torch": ("of torch", ".2f"),
    "of_demo": ("of demo", ".1f"),
    "target": ("target", ".1f"),
}


def rates(decoders: dict, rounds: int) -> dict[str, np.ndarray]:
    """Return the voxels per second of each decoder in each round.

    Parameters
    ----------
    decoders : dict of str to (int, function)
        The number of voxels that a call of the function decodes, and the function.
    rounds : int
        The decoders run in turn in each of them, after a round that warms up.
    """
    found = {name: [] for name in decoders}
    for round_number in range(rounds + 1):
        for name, (voxels, decode) in decoders.items():
            started = time.perf_counter()
            decode()
            if round_number:
                found[name].append(voxels / (time.perf_counter() - started))
    return {name: np.array(values) for name, values in found.items()}


def main() -> int:
    """Measure, print a table, and return 1 if a goal was missed."""
    arguments = parser(__doc__)
    arguments.add_argument("--preset", action="append", choices=NETWORKS, help="may be repeated")
    arguments.add_argument("--formats", action="append", help="may be repeated")
    arguments.add_argument("--rounds", type=int, default=15)
    arguments.add_argument("--seconds", type=float, default=15, help="to train each network")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    volume = crop(load_volume(bundled_mri()), "17:81,26:90,15:79")
    points = np.random.default_rng(0).integers(-16384, 16384, (POINTS, 3)).astype(np.int16)
    table, whole = Table(COLUMNS), {}

    def add(values, reference, name, network, target, against):
        ratio = float(np.median(values / reference))
        row = {
            "network": network,
            "decoder": name,
            "voxels_per_second": float(np.median(values)),
            **dict.fromkeys(("of_torch", "of_demo")),
            against: ratio,
            "target": target,
        }
        table.add(row, missed=target is not None and ratio < target)

    for preset in options.preset or ["demo", "quality", "patch"]:
        model = fit(
            [volume],
            NETWORKS[preset],
            patch=PRESET_PATCHES.get(preset, POINT),
            seconds=options.seconds,
            quiet=True,
        )
        calibration = points[:4096].astype(np.float32) * np.float32(COORDINATE.step)
        decode_all = {
            "torch float32": torch_decoder(model),
            "ONNX Runtime int8": onnx_decoder(model, calibration),
        }
        if decode_all["ONNX Runtime int8"] is None:
            print("ONNX Runtime is missing: pip install 'implicore[bench]'", file=sys.stderr)
            del decode_all["ONNX Runtime int8"]
        for name in options.formats or TARGETS:
            renderer = Renderer(compile_model(model, Formats.parse(name), [volume]).program)
            decode_all[f"golden {name}"] = renderer.voxels
            if preset in PAIR:
                whole[preset] = volume.grid.voxels, partial(renderer.render, volume.grid)
        voxels = POINTS * model.shape.outputs
        measured = rates(
            {name: (voxels, partial(decode, points)) for name, decode in decode_all.items()},
            options.rounds,
        )
        for name, values in measured.items():
            target = TARGETS.get(name.removeprefix("golden "))
            add(values, measured["torch float32"], name, preset, target, "of_torch")
    if len(whole) == len(PAIR):
        measured = rates(whole, options.rounds)
        for preset, target in zip(PAIR, (None, PAIR_TARGET), strict=True):
            add(measured[preset], measured[PAIR[0]], "whole volume", preset, target, "of_demo")
    return table.end(options.json)


if __name__ == "__main__":
    run(main)
