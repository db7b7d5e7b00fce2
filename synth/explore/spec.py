"""The description of a sweep, read from a TOML file."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

from implicore.config_file import FIELDS, network
from implicore.digest import json_digest, path_digest
from implicore.errors import BadInput
from implicore.model.checkpoint import Model
from implicore.program import Program

from . import metrics
from .points import SOURCES, WIDTHS, Point, Source, make_point

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

AXES = (*FIELDS, *WIDTHS, "networks", *SOURCES)
TOP = ("target", "image", "objectives", "synthesize", "near", "constraints", "grid")
SYNTHESIZE = ("pareto", "all", "none")
CONSTRAINTS = ("where", "fits")


@dataclass(frozen=True)
class Spec:
    """The description of a sweep.

    Attributes
    ----------
    target : str
        Name or TOML file of a cell library.
    grid : dict of str to list
        Values of each axis. Every combination is a point.
    image : str or None
        File of the source image, if it is not where the model was trained on it.
    objectives : tuple of str
        Metrics that span the Pareto front.
    synthesize : str
        Which points are synthesized: ``pareto``, ``all`` or ``none``.
    near : float
        Margin of predicted metrics within which points count as on the Pareto front, see
        ``pareto.pareto_front``.
    where : str or None
        Condition that a feasible point meets, see ``selection.where``.
    fits : str or None
        FPGA that a feasible point fits.
    folder : Path
        Folder that file names are relative to.
    """

    target: str
    grid: dict[str, list]
    image: str | None = None
    objectives: tuple[str, ...] = metrics.OBJECTIVES
    synthesize: str = "pareto"
    near: float = 0.0
    where: str | None = None
    fits: str | None = None
    folder: Path = field(default=Path(), compare=False)

    @cached_property
    def sources(self) -> list[Source]:
        """The sources, read from their files; BadInput if one cannot be read."""
        (kind,) = (name for name in SOURCES if name in self.grid)
        return [self._source(kind, name) for name in self.grid[kind]]

    def _source(self, kind: str, name: str) -> Source:
        if kind == "network":
            return Source(kind, name, network(name))
        path = self.folder / name
        content = (Model if kind == "model" else Program).load(path)
        return Source(kind, name, content.shape, content, _file_digest(path))

    @property
    def library(self) -> str:
        """The target in the form that ``target.find`` takes."""
        return str(self.folder / self.target) if self.target.endswith(".toml") else self.target

    @property
    def constraints(self) -> list[str]:
        """The constraints in words."""
        return [*([self.where] if self.where else ()), *([f"fits {self.fits}"] * bool(self.fits))]

    @cached_property
    def digest(self) -> str:
        """Digest of the description and of the files that it names."""
        content = {name: value for name, value in asdict(self).items() if name != "folder"}
        files = [source.digest for source in self.sources]
        files += [_file_digest(self.folder / self.image)] if self.image else []
        files += [_file_digest(Path(self.library))] if self.target.endswith(".toml") else []
        return json_digest([content, files])

    def points(self) -> Iterator[Point]:
        """Yield the point of every combination of the grid's values, equal points once."""
        sources = {source.name: source for source in self.sources}
        seen = set()
        for values in itertools.product(*self.grid.values()):
            settings = dict(zip(self.grid, values, strict=True))
            (name,) = (settings[kind] for kind in SOURCES if kind in settings)
            point = make_point(settings, sources[name])
            if point.id not in seen:
                seen.add(point.id)
                yield point


def read_spec(path: str | Path) -> Spec:
    """Read the description of a sweep from a TOML file.

    Raises
    ------
    BadInput
        The file cannot be read, or a field is missing, unknown or out of range.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise BadInput(f"{path} is not TOML: {error}.") from None
    _check_names(content, TOP, f"{path} has", "field")
    constraints = content.get("constraints", {})
    _require(isinstance(constraints, dict), path, "constraints", "a table [constraints]")
    _check_names(constraints, CONSTRAINTS, f"{path} has", "constraint")
    for name in CONSTRAINTS:
        _require(isinstance(constraints.get(name, ""), str), path, name, "a string")
    for name in ("target", "image"):
        _require(isinstance(content.get(name, ""), str), path, name, "a string")
    _require("target" in content, path, "target", 'a cell library, such as "ihp-sg13g2"')
    objectives = content.get("objectives", list(metrics.OBJECTIVES))
    named = isinstance(objectives, list) and all(isinstance(name, str) for name in objectives)
    _require(objectives and named, path, "objectives", "a list of metrics")
    for name in objectives:
        metrics.metric(name)
    near = content.get("near", 0.0)
    number = isinstance(near, int | float) and not isinstance(near, bool) and 0 <= near < 1
    _require(number, path, "near", "a number of at least 0 and below 1")
    return Spec(
        target=content["target"],
        grid=_grid(path, content.get("grid")),
        image=content.get("image"),
        objectives=tuple(objectives),
        synthesize=_synthesize(path, content.get("synthesize", "pareto")),
        near=float(near),
        where=constraints.get("where"),
        fits=constraints.get("fits"),
        folder=path.parent,
    )


def _synthesize(path: Path, value) -> str:
    if value == "front":
        print(
            f'{path}: synthesize = "front" is now synthesize = "pareto"; the old value will be '
            "removed in version 0.3.",
            file=sys.stderr,
        )
        return "pareto"
    _require(value in SYNTHESIZE, path, "synthesize", f"one of {', '.join(SYNTHESIZE)}")
    return value


def _grid(path: Path, content) -> dict[str, list]:
    _require(isinstance(content, dict), path, "grid", "a table [grid]")
    _check_names(content, AXES, f"The grid of {path} has", "axis")
    kinds = [name for name in SOURCES if name in content]
    if len(kinds) != 1:
        raise BadInput(
            f"The grid of {path} must have exactly one of the axes {', '.join(SOURCES)}, not "
            f"{' and '.join(kinds) or 'none'}."
        )
    needed = ["rows", "columns"] + ["formats"] * (kinds != ["program"])
    for name in needed:
        if name not in content:
            raise BadInput(f"The grid of {path} lacks the axis {name}.")
    grid = {}
    for name, value in content.items():
        one_list = name == "networks" and isinstance(value, list) and not _nested(value)
        values = value if isinstance(value, list) and not one_list else [value]
        _require(values, path, name, "a value or a list of values")
        for entry in values:
            names = entry if name == "networks" and isinstance(entry, list) else [entry]
            if name in (*SOURCES, "networks", "formats"):
                _require(all(isinstance(text, str) for text in names), path, name, "strings")
        grid[name] = values
    return grid


def _nested(values: list) -> bool:
    return any(isinstance(value, list) for value in values)


def _check_names(content: dict, names, owner: str, what: str) -> None:
    for name in content:
        if name not in names:
            raise BadInput(f"{owner} an unknown {what} {name}: choose from {', '.join(names)}.")


def _require(condition, path: Path, name: str, what: str) -> None:
    if not condition:
        raise BadInput(f"In {path}, {name} must be {what}.")


def _file_digest(path: Path) -> str:
    try:
        return path_digest(path)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
