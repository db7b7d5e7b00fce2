"""The tasks of a sweep's workers: compile, characterize, predict, synthesize."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from implicore.accelerator_config import AcceleratorConfig
from implicore.cache import cached
from implicore.digest import source_digest
from implicore.network_shape import NetworkShape
from implicore.program import Program
from implicore.synth import synthesis, target, yosys

from . import fpga_resources, predict, unit_costs, workload
from .samples import FLOW
from .workers import one_line


def characterize(
    config: AcceleratorConfig, target_name: str, program: Program | None
) -> unit_costs.UnitCosts:
    """Return the unit costs of a configuration's family on the target of that name."""
    return unit_costs.characterize(config, target.find(target_name), program)


def predict_all(
    points: list[tuple[str, AcceleratorConfig]],
    shape: NetworkShape,
    costs: unit_costs.UnitCosts,
    device: str | None,
) -> list[dict]:
    """Predict points, given as id and configuration.

    Returns
    -------
    list of dict
        For each point, its id as ``point`` and its metrics, with a device also ``fits``; or its
        id and ``error``.
    """
    records = []
    for identity, config in points:
        try:
            record = predict.predict(config, shape, costs)
            if device:
                record["fits"] = fpga_resources.fits(config, device)
        except Exception as error:  # noqa: BLE001 - one point's failure is one row
            record = {"error": one_line(error)}
        records.append({"point": identity, **record})
    return records


def synthesize(config: AcceleratorConfig, target_name: str, program: Program | None) -> dict:
    """Return the metrics of ``synthesis.synthesize``, from the cache if they are there."""

    def make(folder: Path) -> None:
        synthesis.synthesize(config, target_name, folder, program=program)
        (folder / "netlist.v").unlink()

    library = target.find(target_name)
    builtin = target_name in target.names()
    description = target.FOLDER / f"{target_name}.toml" if builtin else Path(target_name)
    inputs = {
        "configuration": config.to_dict(),
        "program": program.digest if program else "",
        "library": [description, library.liberty, *library.macro_files],
        "code": source_digest(*FLOW),
        "yosys": yosys.version(),
    }
    folder = cached("synthesized", inputs, make)
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Flow:
    """The functions that a sweep calls, most of them on its workers; tests replace them."""

    prepare: Callable = workload.prepare
    family: Callable = unit_costs.family
    characterize: Callable = characterize
    predict: Callable = predict_all
    synthesize: Callable = synthesize
