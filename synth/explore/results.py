"""The table of a sweep: one row a point, in Parquet and CSV, and beside it what was swept over."""

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

from .choose import where
from .metrics import METRICS
from .pareto import known, pareto_front
from .space import Point, Spec

Found = dict[tuple[str, str], dict]

TABLE, TEXT, DESCRIPTION = "results.parquet", "results.csv", "sweep.json"

PREDICTED, SYNTHESIZED, FAILED = "predicted", "synthesized", "failed"
"""Where a row's metrics come from; also the stages in the journal."""

COMPARED = ("area_um2", "fmax_mhz", "nj_per_voxel")
"""Metrics of which the prediction stays beside the synthesized one."""

COLUMNS = {
    **dict.fromkeys(("point", "network", "program"), "string"),
    **dict.fromkeys(FIELDS, "Int64"),
    "formats": "string",
    "gate_zeros": "boolean",
    **dict.fromkeys(("source", "error"), "string"),
    **dict.fromkeys(METRICS, "float64"),
    **{f"predicted_{name}": "float64" for name in COMPARED},
    "seconds": "float64",
    "fits": "boolean",
    **dict.fromkeys(("feasible", "front"), "bool"),
    **dict.fromkeys(("blocks", "image", "command"), "string"),
}
"""Of the table, with their types. ``seconds`` are those of the synthesis."""

ANSWERS = ("feasible", "front")
CONDITIONS = tuple(name for name in COLUMNS if name not in ANSWERS)
"""What a condition may ask for: what does not depend on it."""


def collect(spec: Spec, points: list[Point], found: Found, folder: Path) -> pd.DataFrame:
    """The table of all points of which anything was found, see ``Journal.found``."""
    rows = [row for point in points if (row := _row(spec, point, found, folder))]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table[list(ANSWERS)] = False
    table = table.astype(COLUMNS)
    table["feasible"] = table["source"] != FAILED
    if spec.where:
        table["feasible"] &= where(table[list(CONDITIONS)], spec.where)
    if spec.fits:
        table["feasible"] &= table["fits"].fillna(False).astype(bool)
    # Where anything was synthesized, predictions are not what it is to be compared with.
    candidates = table["feasible"]
    if (table["source"] == SYNTHESIZED).any():
        candidates = candidates & (table["source"] == SYNTHESIZED)
    table.loc[candidates, "front"] = pareto_front(table[candidates], spec.objectives)
    return table


def _row(spec: Spec, point: Point, found: Found, folder: Path) -> dict | None:
    stages = (PREDICTED, SYNTHESIZED, FAILED)
    predicted, synthesized, failed = (found.get((one, point.id)) for one in stages)
    if not (predicted or failed):
        return None
    row = {"point": point.id, "network": point.source.network}
    made = vars(point.config) if point.config else point.settings
    row |= {name: made[name] for name in FIELDS if isinstance(made.get(name), bool | int)}
    row["formats"] = str(made.get("formats", ""))
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
    """The ``implicore synth`` that measures a point."""
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
    """The table in both forms, and the description that its page shows."""
    with atomic_write(folder / TABLE) as temporary:
        table.to_parquet(temporary, index=False)
    with atomic_write(folder / TEXT) as temporary:
        table.to_csv(temporary, index=False)
    objectives = {name: METRICS[name].better for name in known(table, spec.objectives)}
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
    """The table of a finished or interrupted sweep; BadInput if there is none."""
    path = Path(folder) / TABLE
    if not path.is_file():
        raise BadInput(f"{folder} holds no results of a sweep: there is no {TABLE}.")
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {' '.join(str(error).split())}.") from None
