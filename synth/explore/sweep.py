"""Sweep a grid: predict all points, synthesize the Pareto front, record every result at once."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pandas as pd

from implicore.atomic import make_folder
from implicore.errors import BadInput
from implicore.synth import target
from implicore.synth.energy import SLICE

from . import results
from .flow import Flow
from .fpga_resources import DEVICES
from .journal import Journal
from .metrics import METRICS
from .pareto import pareto_front
from .points import Point
from .results import FAILED, PREDICTED, SYNTHESIZED
from .selection import check_condition
from .spec import Spec
from .workers import Workers, one_line
from .workload import Workloads

BATCHES_PER_WORKER = 8
"""Number of batches of predictions for each worker."""

MAX_BATCH = 250
"""Maximum number of predictions in a batch, which each worker of a killed sweep loses."""

Bar = Callable[[int, str], AbstractContextManager]
"""Function that makes a progress bar with a total and a text; ``update`` takes a number done."""


def sweep(
    spec: Spec,
    folder: str | Path,
    *,
    bar: Bar,
    scheduler: str | None = None,
    resume: bool = False,
    report: Callable[[str], None] = lambda line: None,
    flow: Flow = Flow(),  # noqa: B008 - frozen
) -> dict:
    """Predict every point, synthesize the points that the description selects, write the table.

    Parameters
    ----------
    spec : Spec
    folder : path-like
        Folder for ``results.parquet``, ``results.csv``, ``sweep.json``, the compiled programs and
        their pictures; made if it does not exist. ``resume`` continues from its journal.
    bar : function (total, text) -> context manager with ``update(done)``
    scheduler : str, optional
        Address of a Dask scheduler.
    resume : bool
    report : function of a line
    flow : Flow

    Returns
    -------
    dict
        ``points``, ``failed``, ``synthesized`` and ``feasible``, numbers of points; ``pareto``,
        ids of the points on the Pareto front; ``seconds``.

    Raises
    ------
    BadInput
        The description contradicts the files, the folder holds another sweep, or the scheduler
        does not answer.
    """
    began = time.perf_counter()
    if spec.where:
        check_condition(spec.where, results.CONDITION_COLUMNS)
    if spec.fits and spec.fits not in DEVICES:
        raise BadInput(f"There is no device {spec.fits}: choose from {', '.join(DEVICES)}.")
    library = target.find(spec.library)
    digest, points = spec.digest, list(spec.points())
    folder = make_folder(folder)
    with closing(Journal(folder, digest, resume=resume)) as journal:
        run = _Run(spec, points, journal, folder, library, flow, bar)
        try:
            with Workers(scheduler) as workers:
                run.predict(workers)
                run.synthesize(workers)
        finally:
            # The results so far are written however the sweep ends.
            table = run.table()
            results.write(table, spec, library, run.image, folder)
    failed = table[table["source"] == FAILED]
    if len(failed):
        report(f"{failed.iloc[0]['point']}: {failed.iloc[0]['error']}")
    return {
        "points": len(table),
        "failed": len(failed),
        "synthesized": int((table["source"] == SYNTHESIZED).sum()),
        "feasible": int(table["feasible"].sum()),
        "pareto": table.loc[table["front"], "point"].tolist(),
        "seconds": time.perf_counter() - began,
    }


class _Run:
    """One run of a sweep. It skips what the journal records."""

    def __init__(self, spec, points, journal, folder, library, flow, bar):
        self.spec: Spec = spec
        self.points: list[Point] = points
        self.journal: Journal = journal
        self.folder: Path = folder
        self.library: target.Target = library
        self.flow: Flow = flow
        self.bar: Bar = bar
        self.workloads = Workloads(spec, folder)

    def table(self) -> pd.DataFrame:
        return results.collect(self.spec, self.points, self.journal.records, self.folder)

    @property
    def image(self) -> str | None:
        """Name of the first source's image."""
        if self.spec.image:
            return Path(self.spec.image).name
        source = self.spec.sources[0]
        return source.content.images[0]["name"] if source.kind == "model" else None

    # ------------------------------------------------------------------------- predictions

    def predict(self, workers: Workers) -> None:
        """Record ``PREDICTED`` or ``FAILED`` for all points."""
        missing = self._without(PREDICTED)
        self._fail([(point, point.error) for point in missing if point.config is None])
        missing = [point for point in missing if point.config is not None]
        if not missing:
            return
        missing = self._prepare(workers, missing)
        families: dict[tuple, list[Point]] = {}
        for point in missing:
            family = self.flow.family(point.config, self.library)
            families.setdefault((self.workloads.key(point), family), []).append(point)
        costs = self._characterize(workers, families)
        size = max(1, min(MAX_BATCH, -(-len(missing) // (BATCHES_PER_WORKER * workers.cores))))
        batches = {}
        for family, members in families.items():
            shape = self.workloads.of(members[0]).shape
            for start in range(0, len(members), size):
                batch = members[start : start + size]
                inputs = [(point.id, point.config) for point in batch]
                arguments = inputs, shape, costs[family], self.spec.fits
                batches[workers.submit(self.flow.predict, *arguments)] = batch
        with self.bar(len(missing), "predicting") as progress:
            for batch, outcome in workers.outcomes(batches):
                if isinstance(outcome, Exception):
                    self._fail([(point, one_line(outcome)) for point in batch])
                else:
                    self._record_predictions(batch, outcome)
                progress.update(len(batch))

    def _characterize(self, workers: Workers, families: dict[tuple, list[Point]]) -> dict:
        """Return the futures of the families' unit costs when all of them are done."""
        costs = {}
        for family, (point, *_) in families.items():
            arguments = point.config, self.spec.library, self.workloads.of(point).program
            costs[family] = workers.submit(self.flow.characterize, *arguments)
        with self.bar(len(costs), "characterizing formats") as progress:
            for _ in workers.outcomes({future: family for family, future in costs.items()}):
                progress.update(1)
        return costs

    def _record_predictions(self, batch: list[Point], outcome: list[dict]) -> None:
        records, failed = [], []
        for point, metrics in zip(batch, outcome, strict=True):
            if "error" in metrics:
                failed.append((point, metrics["error"]))
                continue
            workload = self.workloads.of(point)
            program, image = self.workloads.files(point)
            records.append(
                {
                    "stage": PREDICTED,
                    "point": point.id,
                    **_columns(metrics),
                    "psnr_db": workload.psnr_db,
                    "macs_per_voxel": workload.shape.macs_per_voxel,
                    "program": program if workload.program else None,
                    "image": image if workload.decoded is not None else None,
                    "fits": metrics.get("fits"),
                }
            )
        self.journal.add(records)
        self._fail(failed)

    # --------------------------------------------------------------------------- synthesis

    def synthesize(self, workers: Workers) -> None:
        """Record ``SYNTHESIZED`` or ``FAILED`` for the points that the description selects."""
        selected = self._selected()
        missing = [point for point in self._without(SYNTHESIZED) if point.id in selected]
        if not missing:
            return
        missing = self._prepare(workers, missing)
        futures = {}
        # Large arrays come first, which leaves no long synthesis for the end. Formats alternate,
        # which keeps workers from waiting for each other's modules.
        for point in _alternating(missing):
            arguments = point.config, self.spec.library, self.workloads.of(point).program
            future = workers.submit(self.flow.synthesize, *arguments, priority=-len(futures))
            futures[future] = point
        with self.bar(len(futures), "synthesizing") as progress:
            for point, outcome in workers.outcomes(futures):
                if isinstance(outcome, Exception):
                    self._fail([(point, one_line(outcome))])
                else:
                    self.journal.add([self._synthesized(point, outcome)])
                progress.update(1)

    def _selected(self) -> set[str]:
        """Return the ids of the points to synthesize.

        They depend on the predictions only, not on points that are already synthesized.
        """
        if self.spec.synthesize == "none":
            return set()
        records = {k: record for k, record in self.journal.records.items() if k[0] == PREDICTED}
        predictions = results.collect(self.spec, self.points, records, self.folder)
        if self.spec.synthesize == "all":
            return set(predictions["point"])
        feasible = predictions[predictions["feasible"]]
        return set(feasible["point"][pareto_front(feasible, self.spec.objectives, self.spec.near)])

    def _synthesized(self, point: Point, outcome: dict) -> dict:
        """Return the record of a synthesis.

        Synthesis without a program reports no throughput, which follows from the predicted cycles.
        """
        record = {"stage": SYNTHESIZED, "point": point.id, **_columns(outcome)}
        cycles = self.journal.records[PREDICTED, point.id]["cycles_per_slice"]
        record["voxels_per_second"] = SLICE * record["clock_mhz"] * 1e6 / cycles
        return record

    # ----------------------------------------------------------------------------- helpers

    def _without(self, stage: str) -> list[Point]:
        """Return the points that have neither this stage nor failed."""
        records = self.journal.records
        return [
            p for p in self.points if (stage, p.id) not in records and (FAILED, p.id) not in records
        ]

    def _fail(self, failed: list[tuple[Point, str]]) -> None:
        self.journal.add(
            {"stage": FAILED, "point": point.id, "error": error} for point, error in failed
        )

    def _prepare(self, workers: Workers, points: list[Point]) -> list[Point]:
        """Prepare the points' workloads; return the points for which that succeeded."""
        self.workloads.prepare(points, self.flow.prepare, workers, self.bar)
        outcomes = [(point, self.workloads.of(point)) for point in points]
        failed = [(point, each) for point, each in outcomes if isinstance(each, Exception)]
        self._fail([(point, one_line(error)) for point, error in failed])
        return [point for point, each in outcomes if not isinstance(each, Exception)]


def _columns(metrics: dict) -> dict:
    """Return the metrics that the table has."""
    metrics = {**metrics, "area_mm2": metrics["area_um2"] / 1e6}
    kept = {name: metrics[name] for name in (*METRICS, "seconds") if name in metrics}
    blocks = {
        block: {name: values[name] for name in ("area_um2", "power_mw") if name in values}
        for block, values in metrics["blocks"].items()
    }
    return {**kept, "blocks": json.dumps(blocks)}


def _alternating(points: list[Point]) -> Iterator[Point]:
    """Yield the points by decreasing array size, one of each format in turn."""
    formats: dict[str, list[Point]] = {}
    for point in sorted(points, key=lambda p: -p.config.rows * p.config.columns):
        formats.setdefault(str(point.config.formats), []).append(point)
    turns = itertools.zip_longest(*formats.values())
    return (point for turn in turns for point in turn if point is not None)
