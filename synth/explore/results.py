"""The results of a sweep: a table with one row per point, and a description of the sweep."""

from __future__ import annotations

import shlex
from pathlib import Path

import pandas as pd

from implicore.accelerator_config import ACCELERATORS
from implicore.atomic import atomic_write, write_json
from implicore.config_file import FIELDS
from implicore.errors import BadInput
from implicore.synth.synthesis import LEFT_OUT
from implicore.synth.target import Target

from .metrics import METRICS
from .pareto import available, pareto_front
from .points import Point
from .selection import where
from .spec import Spec

Records = dict[tuple[str, str], dict]
"""Records by stage and point, see ``Journal.records``."""

TABLE, TEXT, DESCRIPTION = "results.parquet", "results.csv", "sweep.json"

PREDICTED, SYNTHESIZED, FAILED = "predicted", "synthesized", "failed"
"""Source of a row's metrics; also the stages in the journal."""

COMPARED = ("area_um2", "fmax_mhz", "nj_per_voxel")
"""Metrics whose predictions have separate columns."""

COLUMNS = {
    **dict.fromkeys(("point", "network", "patch", "program"), "string"),
    **dict.fromkeys(FIELDS, "Int64"),
    "formats": "string",
    "gate_zeros": "boolean",
    "protection": "string",
    **dict.fromkeys(("source", "error"), "string"),
    **dict.fromkeys(METRICS, "float64"),
    **{f"predicted_{name}": "float64" for name in COMPARED},
    "seconds": "float64",
    "fits": "boolean",
    **dict.fromkeys(("feasible", "front"), "bool"),
    **dict.fromkeys(("blocks", "image", "command"), "string"),
}
"""Columns of the table with their types. ``seconds`` is the time of the synthesis."""

DERIVED = ("feasible", "front")
CONDITION_COLUMNS = tuple(name for name in COLUMNS if name not in DERIVED)
"""Columns that a condition may compare: the columns that do not depend on the condition."""


def collect(spec: Spec, points: list[Point], records: Records, folder: Path) -> pd.DataFrame:
    """Return the table of all points that have a record."""
    rows = [row for point in points if (row := _row(spec, point, records, folder))]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table[list(DERIVED)] = False
    table = table.astype(COLUMNS)
    table["feasible"] = table["source"] != FAILED
    if spec.where:
        table["feasible"] &= where(table[list(CONDITION_COLUMNS)], spec.where)
    if spec.fits:
        table["feasible"] &= table["fits"].fillna(False).astype(bool)
    # An optimistic prediction must not push a synthesized design off the Pareto front.
    candidates = table["feasible"]
    if (table["source"] == SYNTHESIZED).any():
        candidates = candidates & (table["source"] == SYNTHESIZED)
    table.loc[candidates, "front"] = pareto_front(table[candidates], spec.objectives)
    return table


def _row(spec: Spec, point: Point, records: Records, folder: Path) -> dict | None:
    stages = (PREDICTED, SYNTHESIZED, FAILED)
    predicted, synthesized, failed = (records.get((stage, point.id)) for stage in stages)
    if not (predicted or failed):
        return None
    row = {"point": point.id, "network": point.source.network, "patch": point.source.patch}
    values = vars(point.config) if point.config else point.settings
    row |= {name: values[name] for name in FIELDS if isinstance(values.get(name), bool | int)}
    row["formats"] = str(values.get("formats", ""))
    row["protection"] = str(values.get("protection", "none"))
    predicted = predicted or {}
    row |= {f"predicted_{name}": predicted.get(name) for name in COMPARED}
    row |= {name: predicted.get(name) for name in ("program", "image", "fits")}
    if point.config:
        row["command"] = command(spec, point, predicted.get("program"), folder)
    if failed:
        return {**row, "source": FAILED, "error": failed["error"]}
    metrics = {**predicted, **(synthesized or {})}
    row |= {name: metrics.get(name) for name in (*METRICS, "blocks", "seconds")}
    return {**row, "source": SYNTHESIZED if synthesized else PREDICTED}


def command(spec: Spec, point: Point, program: str | None, folder: Path) -> str:
    """Return the ``implicore synth`` command that synthesizes a point."""
    base, config = "medium", point.config
    words = ["implicore", "synth", "-o", folder / "synth" / point.id, "--target", spec.library]
    words += ["--config", base]
    for name, value in vars(config).items():
        if value != getattr(ACCELERATORS[base], name):
            words += ["--set", f"{name}={str(value).lower()}"]
    if program:
        words += ["--program", folder / program]
    return shlex.join(map(str, words))


def write(table: pd.DataFrame, spec: Spec, target: Target, image: str | None, folder: Path) -> None:
    """Write the table as Parquet and CSV, and the description that the page shows."""
    with atomic_write(folder / TABLE) as temporary:
        table.to_parquet(temporary, index=False)
    with atomic_write(folder / TEXT) as temporary:
        table.to_csv(temporary, index=False)
    objectives = {name: METRICS[name].better for name in available(table, spec.objectives)}
    write_json(
        folder / DESCRIPTION,
        {
            "objectives": objectives,
            "constraints": spec.constraints,
            "target": target.title,
            "corner": target.corner,
            "left_out": list(LEFT_OUT),
            "image": image,
            "spec": {"target": spec.target, "synthesize": spec.synthesize, "grid": spec.grid},
        },
    )


def read(folder: str | Path) -> pd.DataFrame:
    """Read the table of a finished or interrupted sweep; BadInput if there is none."""
    path = Path(folder) / TABLE
    if not path.is_file():
        raise BadInput(f"{folder} does not contain {TABLE}: name the folder of a sweep.")
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {' '.join(str(error).split())}.") from None
