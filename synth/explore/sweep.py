"""A sweep: all points predicted, the Pareto front synthesized, every finding kept at once."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from implicore.accelerator_config import AcceleratorConfig
from implicore.atomic import atomic_write, make_folder
from implicore.config_file import FIELDS, to_toml
from implicore.errors import BadInput
from implicore.model.volume import Volume, load_source, save_plane_png
from implicore.synth import target
from implicore.synth.energy import SLICE

from . import choose, flow, results, unit_costs
from .fpga_resources import DEVICES
from .journal import Journal
from .metrics import METRICS, metric
from .pareto import pareto_front
from .results import FAILED, PREDICTED, SYNTHESIZED
from .space import Point, Source, Spec
from .workers import Workers, sentence

PIECES = 8
"""Pieces of work for each worker that the predictions are dealt out in."""

MOST = 250
"""Predictions in one piece: what a killed sweep loses of each worker."""


@dataclass(frozen=True)
class Flow:
    """What is done at the points, as functions that travel to the workers; see ``flow``."""

    prepare: Callable = flow.prepare
    family: Callable = unit_costs.family
    characterize: Callable = flow.characterize
    predict: Callable = flow.predict_all
    synthesize: Callable = flow.synthesized


Bar = Callable[[int, str], AbstractContextManager]
"""Makes a progress bar of so many points, with ``update``."""


def sweep(
    spec: Spec,
    folder: str | Path,
    *,
    bar: Bar,
    scheduler: str | None = None,
    resume: bool = False,
    report: Callable[[str], None] = lambda line: None,
    does: Flow = Flow(),  # noqa: B008 - frozen
) -> dict:
    """Predict every point, synthesize those that are asked for, write the table.

    Parameters
    ----------
    spec : Spec
    folder : path-like
        For ``results.parquet``, ``results.csv``, ``sweep.json``, the compiled programs and their
        pictures; made if there is none. Its journal is what ``resume`` goes on from.
    bar : function (total, text) -> context manager with ``update(done)``
    scheduler : str, optional
        Address of a Dask scheduler.
    resume : bool
    report : function of a line
    does : Flow

    Returns
    -------
    dict
        ``points``, ``failed``, ``synthesized``, ``feasible``; ``pareto``, ids of the points on
        the Pareto front; ``seconds``.

    Raises
    ------
    BadInput
        A description that cannot be swept, a folder with another sweep, a scheduler that is away.
    """
    began = time.perf_counter()
    if spec.where:
        choose.check(spec.where, results.CONDITIONS)
    if spec.fits and spec.fits not in DEVICES:
        raise BadInput(f"There is no device {spec.fits}: choose from {', '.join(DEVICES)}.")
    library = target.find(spec.library)
    digest, points = spec.digest, list(spec.points())
    folder = make_folder(folder)
    with closing(Journal(folder, digest, resume=resume)) as journal:
        running = _Sweep(spec, points, journal, folder, library, does, bar)
        try:
            with Workers(scheduler) as workers:
                running.predict(workers)
                running.synthesize(workers)
        finally:
            # What was found is there to be looked at, however the sweep ended.
            table = running.table()
            results.write(table, spec, library, running.image, folder)
    if (table["source"] == FAILED).any():
        first = table[table["source"] == FAILED].iloc[0]
        report(f"{first['point']}: {first['error']}")
    return {
        "points": len(table),
        "failed": int((table["source"] == FAILED).sum()),
        "synthesized": int((table["source"] == SYNTHESIZED).sum()),
        "feasible": int(table["feasible"].sum()),
        "pareto": table.loc[table["front"], "point"].tolist(),
        "seconds": time.perf_counter() - began,
    }


class _Sweep:
    """One run; what an earlier one found is not done again."""

    def __init__(self, spec, points, journal, folder, library, does, bar):
        self.spec: Spec = spec
        self.points: list[Point] = points
        self.journal: Journal = journal
        self.folder: Path = folder
        self.library = library
        self.does: Flow = does
        self.bar: Bar = bar
        self.workloads: dict[tuple, flow.Workload | Exception] = {}
        self._images: dict[Source, list[Volume]] = {}

    def table(self) -> pd.DataFrame:
        return results.collect(self.spec, self.points, self.journal.found, self.folder)

    @property
    def image(self) -> str | None:
        """Name of the first source's image."""
        if self.spec.image:
            return Path(self.spec.image).name
        source = self.spec.sources[0]
        return source.content.images[0]["name"] if source.kind == "model" else None

    # ------------------------------------------------------------------------- predictions

    def predict(self, workers: Workers) -> None:
        """Find ``PREDICTED`` or ``FAILED`` for all points."""
        todo = self._without(PREDICTED)
        self._fail([(point, point.error) for point in todo if point.config is None])
        todo = [point for point in todo if point.config is not None]
        if not todo:
            return
        todo = self._prepared(workers, todo)
        families: dict[tuple, list[Point]] = {}
        for point in todo:
            family = self.does.family(point.config, self.library)
            families.setdefault((self._key(point), family), []).append(point)
        found = {}
        for (key, family), members in families.items():
            program = self.workloads[key].program
            config = members[0].config
            made = workers.submit(self.does.characterize, config, self.spec.library, program)
            found[key, family] = made
        with self.bar(len(found), "characterizing formats") as bar:
            for _ in workers.each({made: key for key, made in found.items()}):
                bar.update(1)
        size = max(1, min(MOST, -(-len(todo) // (PIECES * workers.cores)))) if todo else 1
        pieces = {}
        for (key, family), members in families.items():
            shape = self.workloads[key].shape
            for start in range(0, len(members), size):
                piece = members[start : start + size]
                asked = [(point.id, point.config) for point in piece]
                made = found[key, family]
                future = workers.submit(self.does.predict, asked, shape, made, self.spec.fits)
                pieces[future] = piece
        with self.bar(len(todo), "predicting") as bar:
            for piece, outcome in workers.each(pieces):
                if isinstance(outcome, Exception):
                    self._fail([(point, sentence(outcome)) for point in piece])
                else:
                    self._predicted(piece, outcome)
                bar.update(len(piece))

    def _predicted(self, piece: list[Point], outcome: list[dict]) -> None:
        records, failed = [], []
        for point, metrics in zip(piece, outcome, strict=True):
            if "error" in metrics:
                failed.append((point, metrics["error"]))
                continue
            workload = self.workloads[self._key(point)]
            program, image = self._files(point)
            records.append(
                {
                    "stage": PREDICTED,
                    "point": point.id,
                    **_columns(metrics),
                    "psnr_db": workload.psnr_db,
                    "program": program if workload.program else None,
                    "image": image if workload.decoded is not None else None,
                    "fits": metrics.get("fits"),
                }
            )
        self.journal.add(records)
        self._fail(failed)

    # --------------------------------------------------------------------------- synthesis

    def synthesize(self, workers: Workers) -> None:
        """Find ``SYNTHESIZED`` or ``FAILED`` for the points that are asked for."""
        chosen = self._chosen()
        todo = [point for point in self._without(SYNTHESIZED) if point.id in chosen]
        if not todo:
            return
        todo = self._prepared(workers, todo)
        futures = {}
        # Large ones first, so that none is left over at the end; the formats in turns, so that
        # workers seldom wait for each other's modules.
        for point in _in_turns(todo):
            program = self.workloads[self._key(point)].program
            arguments = point.config, self.spec.library, program
            future = workers.submit(self.does.synthesize, *arguments, priority=-len(futures))
            futures[future] = point
        with self.bar(len(futures), "synthesizing") as bar:
            for point, outcome in workers.each(futures):
                if isinstance(outcome, Exception):
                    self._fail([(point, sentence(outcome))])
                else:
                    self.journal.add([self._synthesized(point, outcome)])
                bar.update(1)

    def _chosen(self) -> set[str]:
        """Points to be synthesized: what is said of the predictions, whatever was synthesized."""
        if self.spec.synthesize == "none":
            return set()
        found = {key: record for key, record in self.journal.found.items() if key[0] == PREDICTED}
        predictions = results.collect(self.spec, self.points, found, self.folder)
        if self.spec.synthesize == "all":
            return set(predictions["point"])
        feasible = predictions[predictions["feasible"]]
        return set(feasible["point"][pareto_front(feasible, self.spec.objectives, self.spec.near)])

    def _synthesized(self, point: Point, outcome: dict) -> dict:
        """Its record; cycles are exact, so that throughput is there without a program as well."""
        record = {"stage": SYNTHESIZED, "point": point.id, **_columns(outcome)}
        cycles = self.journal.found[PREDICTED, point.id]["cycles_per_slice"]
        record["voxels_per_second"] = SLICE * record["clock_mhz"] * 1e6 / cycles
        return record

    # ----------------------------------------------------------------------------- helpers

    def _without(self, stage: str) -> list[Point]:
        """Points that neither have this stage nor failed."""
        found = self.journal.found
        return [
            p for p in self.points if (stage, p.id) not in found and (FAILED, p.id) not in found
        ]

    def _fail(self, failed: list[tuple[Point, str]]) -> None:
        self.journal.add(
            {"stage": FAILED, "point": point.id, "error": error} for point, error in failed
        )

    def _prepared(self, workers: Workers, points: list[Point]) -> list[Point]:
        """Have programs compiled; the points of those that can be, the others having failed."""
        missing = {self._key(point): point for point in points}
        missing = {key: point for key, point in missing.items() if key not in self.workloads}
        futures = {}
        for key, point in missing.items():
            volumes = self._volumes(point.source)
            formats = point.config.formats if point.source.kind == "model" else None
            future = workers.submit(self.does.prepare, point.source, formats, volumes)
            futures[future] = key, point
        with self.bar(len(futures), "compiling programs") as bar:
            for (key, point), outcome in workers.each(futures):
                self.workloads[key] = outcome
                if not isinstance(outcome, Exception):
                    self._keep(point, outcome)
                bar.update(1)
        good, failed = [], []
        for point in points:
            outcome = self.workloads[self._key(point)]
            if isinstance(outcome, Exception):
                failed.append((point, sentence(outcome)))
            else:
                good.append(point)
        self._fail(failed)
        return good

    def _volumes(self, source: Source) -> list[Volume]:
        """The images that a source stands for, read once."""
        if source not in self._images:
            given = str(self.spec.folder / self.spec.image) if self.spec.image else None
            images = [{"path": given}] if given and source.kind == "program" else []
            if source.kind == "model":
                moved = {"path": given} if given else {}
                images = [{**image, **moved} for image in source.content.images]
            hint = "Name it in the sweep's description: image = FILE."
            self._images[source] = [load_source(image, hint) for image in images]
        return self._images[source]

    def _keep(self, point: Point, workload: flow.Workload) -> None:
        """Write a program and its picture."""
        program, image = (self.folder / name for name in self._files(point))
        if workload.program is not None:
            make_folder(program.parent)
            workload.program.save(program)
        pictures = {image: workload.decoded}
        if point.source is self.spec.sources[0]:
            pictures[image.with_name("source.png")] = workload.original
        for path, plane in pictures.items():
            if plane is not None:
                make_folder(path.parent)
                save_plane_png(path, plane, 0.0, 1.0)

    def _key(self, point: Point) -> tuple[str, str]:
        """Points of one key decode one program."""
        compiled = point.source.kind == "model"
        return point.source.name, str(point.config.formats) if compiled else ""

    def _files(self, point: Point) -> tuple[str, str]:
        """Program and picture, as paths in the folder."""
        stems = [Path(source.name).stem for source in self.spec.sources]
        name, formats = Path(point.source.name).stem, self._key(point)[1]
        if stems.count(name) > 1:
            name += f"-{point.source.digest[:6]}"
        if formats:
            name += f"-{formats}"
        return f"programs/{name}.inr", f"images/{name}.png"


def _columns(metrics: dict) -> dict:
    """Of all metrics those that the table has."""
    metrics = {**metrics, "area_mm2": metrics["area_um2"] / 1e6}
    kept = {name: metrics[name] for name in (*METRICS, "seconds") if name in metrics}
    blocks = {
        block: {name: one[name] for name in ("area_um2", "power_mw") if name in one}
        for block, one in metrics["blocks"].items()
    }
    return {**kept, "blocks": json.dumps(blocks)}


def _in_turns(points: list[Point]) -> Iterator[Point]:
    """Largest arrays first, one of each format after the other."""
    formats: dict[str, list[Point]] = {}
    for point in sorted(points, key=lambda p: -p.config.rows * p.config.columns):
        formats.setdefault(str(point.config.formats), []).append(point)
    turns = itertools.zip_longest(*formats.values())
    return (point for turn in turns for point in turn if point is not None)


def choose_one(folder: str | Path, name: str, condition: str | None) -> dict | None:
    """The best point of a sweep, its configuration written as ``best.toml``; None if there is none.

    Parameters
    ----------
    folder : path-like
        Of a sweep.
    name : str
        Of the metric to be best in.
    condition : str, optional
        What the point must meet, see ``choose.where``.

    Returns
    -------
    dict
        The row's metrics and, as ``config``, the file for ``generate --config``.
    """
    metric(name)
    row = choose.best(results.read(folder), name, condition)
    if row is None:
        return None
    found = {name: value for name, value in row.items() if not pd.isna(value)}
    found = {name: getattr(value, "item", lambda v=value: v)() for name, value in found.items()}
    config = AcceleratorConfig.from_dict({field: found[field] for field in FIELDS})
    path = Path(folder) / "best.toml"
    with atomic_write(path) as temporary:
        temporary.write_text(to_toml(config), encoding="utf-8")
    return {**found, "config": str(path)}
