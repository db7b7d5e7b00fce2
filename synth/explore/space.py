"""What a sweep goes through: its description, and the points of the grid."""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path

from implicore.accelerator_config import AcceleratorConfig
from implicore.config_file import FIELDS, make_config, network
from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.model.checkpoint import Model
from implicore.network_shape import NETWORKS, NetworkShape
from implicore.program import Program

from . import metrics

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DECODED = ("model", "program", "network")
"""What is decoded: compiled for each format, as it is, or a preset's shape without weights."""

WIDTHS = tuple(one.name for one in fields(Formats))[2:]
"""Widths that a grid may vary beside what the formats' names say."""

AXES = (*FIELDS, *WIDTHS, "networks", *DECODED)
TOP = ("target", "image", "objectives", "synthesize", "near", "constraints", "grid")
SYNTHESIZE = ("pareto", "all", "none")
CONSTRAINTS = ("where", "fits")


@dataclass(frozen=True, eq=False)
class Source:
    """What a point decodes.

    Attributes
    ----------
    kind, name : str
        A name of ``DECODED``, and the file or preset as the description has it.
    shape : NetworkShape
    content : Model, Program or None
    digest : str
        Of the file; empty for a preset.
    """

    kind: str
    name: str
    shape: NetworkShape
    content: Model | Program | None = None
    digest: str = ""

    @property
    def network(self) -> str:
        """The preset of this shape, or the shape in words."""
        for name, shape in NETWORKS.items():
            if shape == self.shape:
                return name
        one = self.shape
        skips = f", skips {','.join(map(str, one.skips))}" if one.skips else ""
        return f"L {one.frequencies}, width {one.width}, depth {one.depth}{skips}"


@dataclass(frozen=True)
class Point:
    """A point of the grid.

    Attributes
    ----------
    id : str
        The same whenever the same accelerator decodes the same thing.
    settings : dict
        The grid's values, by axis.
    source : Source
    config : AcceleratorConfig or None
        None where these values make none.
    error : str
        Why they do not.
    """

    id: str
    settings: dict
    source: Source
    config: AcceleratorConfig | None
    error: str = ""


@dataclass(frozen=True)
class Spec:
    """The description of a sweep.

    Attributes
    ----------
    target : str
        A cell library's name or TOML file.
    grid : dict of str to list
        Values of each axis; every combination is a point.
    image : str or None
        File of the image that the programs stand for, where no model names it.
    objectives : tuple of str
        Metrics that the Pareto front is drawn over.
    synthesize : str
        Which points: ``pareto``, ``all`` or ``none``.
    near : float
        How far from the Pareto front a point may be to count as on it, see ``pareto.pareto_front``.
    where : str or None
        Condition that the points of interest meet, see ``choose.where``.
    fits : str or None
        FPGA that they fit.
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
        """What is decoded, read from its files; BadInput if one cannot be."""
        (kind,) = (name for name in DECODED if name in self.grid)
        return [self._source(kind, name) for name in self.grid[kind]]

    def _source(self, kind: str, name: str) -> Source:
        if kind == "network":
            return Source(kind, name, network(name))
        path = self.folder / name
        content = (Model if kind == "model" else Program).load(path)
        return Source(kind, name, content.shape, content, _digest(path))

    @property
    def library(self) -> str:
        """The target as ``target.find`` wants it."""
        return str(self.folder / self.target) if self.target.endswith(".toml") else self.target

    @property
    def constraints(self) -> list[str]:
        """In words."""
        return [*([self.where] if self.where else ()), *([f"fits {self.fits}"] * bool(self.fits))]

    @cached_property
    def digest(self) -> str:
        """Of the description and of the files that it names."""
        content = {name: value for name, value in asdict(self).items() if name != "folder"}
        files = [source.digest for source in self.sources]
        files += [_digest(self.folder / self.image)] if self.image else []
        files += [_digest(Path(self.library))] if self.target.endswith(".toml") else []
        text = json.dumps([content, files], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def points(self) -> Iterator[Point]:
        """Every combination of the grid's values, each accelerator of a source once."""
        sources = {source.name: source for source in self.sources}
        seen = set()
        for values in itertools.product(*self.grid.values()):
            settings = dict(zip(self.grid, values, strict=True))
            (name,) = (settings[kind] for kind in DECODED if kind in settings)
            point = _point(settings, sources[name])
            if point.id not in seen:
                seen.add(point.id)
                yield point

    @property
    def combinations(self) -> int:
        """Of the grid's values."""
        product = 1
        for values in self.grid.values():
            product *= len(values)
        return product


def _point(settings: dict, source: Source) -> Point:
    values = {name: value for name, value in settings.items() if name in (*FIELDS, "networks")}
    values.setdefault("networks", [source.shape])
    widths = {name: settings[name] for name in WIDTHS if name in settings}
    config, error = None, ""
    try:
        formats = values.get("formats")
        if formats is None:
            formats = source.content.formats
        else:
            formats = Formats.parse(formats)
        values["formats"] = replace(formats, **widths)
        config = make_config(values)
    except (TypeError, ValueError, BadInput) as problem:
        error = str(problem)
    made = config.to_dict() if config else settings
    text = json.dumps([made, source.kind, source.name], sort_keys=True)
    size = f"{settings['rows']}x{settings['columns']}"
    formats = config.formats if config else settings.get("formats", "")
    identity = hashlib.sha256(text.encode()).hexdigest()[:8]
    return Point(f"{size}-{formats}-{identity}", settings, source, config, error)


def read_spec(path: str | Path) -> Spec:
    """The sweep that a TOML file describes; BadInput, one sentence, if it describes none."""
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise BadInput(f"{path} is not TOML: {error}.") from None
    _known(content, TOP, f"{path} has", "field")
    constraints = content.get("constraints", {})
    _require(isinstance(constraints, dict), path, "constraints", "a table [constraints]")
    _known(constraints, CONSTRAINTS, f"{path} has", "constraint")
    for name in CONSTRAINTS:
        _require(isinstance(constraints.get(name, ""), str), path, name, "a text")
    for name in ("target", "image"):
        _require(isinstance(content.get(name, ""), str), path, name, "a text")
    _require("target" in content, path, "target", 'a cell library, such as "ihp-sg13g2"')
    objectives = content.get("objectives", list(metrics.OBJECTIVES))
    several = isinstance(objectives, list) and objectives
    _require(several, path, "objectives", "a list of metrics")
    for name in objectives:
        metrics.metric(name)
    chosen = content.get("synthesize", "pareto")
    if chosen == "front":
        print(
            f'{path}: synthesize = "front" is now synthesize = "pareto"; the old value will be '
            "removed in version 0.3.",
            file=sys.stderr,
        )
        chosen = "pareto"
    _require(chosen in SYNTHESIZE, path, "synthesize", f"one of {', '.join(SYNTHESIZE)}")
    near = content.get("near", 0.0)
    number = isinstance(near, int | float) and not isinstance(near, bool) and 0 <= near < 1
    _require(number, path, "near", "a number from 0 to below 1")
    return Spec(
        target=content["target"],
        grid=_grid(path, content.get("grid")),
        image=content.get("image"),
        objectives=tuple(objectives),
        synthesize=chosen,
        near=float(near),
        where=constraints.get("where"),
        fits=constraints.get("fits"),
        folder=path.parent,
    )


def _grid(path: Path, content) -> dict[str, list]:
    _require(isinstance(content, dict), path, "grid", "a table [grid]")
    _known(content, AXES, f"The grid of {path} has", "axis")
    decoded = [name for name in DECODED if name in content]
    if len(decoded) != 1:
        raise BadInput(
            f"The grid of {path} must say what is decoded by one of {', '.join(DECODED)}, "
            f"not by {' and '.join(decoded) or 'none'}."
        )
    needed = ["rows", "columns"] + ["formats"] * (decoded != ["program"])
    for name in needed:
        if name not in content:
            raise BadInput(f"The grid of {path} does not say its {name}.")
    grid = {}
    for name, given in content.items():
        whole = name == "networks" and isinstance(given, list) and not _nested(given)
        values = given if isinstance(given, list) and not whole else [given]
        _require(values, path, name, "a value or a list of values")
        for one in values:
            names = one if name == "networks" and isinstance(one, list) else [one]
            if name in (*DECODED, "networks", "formats"):
                _require(all(isinstance(text, str) for text in names), path, name, "names")
        grid[name] = values
    return grid


def _nested(values: list) -> bool:
    return any(isinstance(value, list) for value in values)


def _known(content: dict, names, owner: str, what: str) -> None:
    for name in content:
        if name not in names:
            raise BadInput(f"{owner} an unknown {what} {name}: choose from {', '.join(names)}.")


def _require(condition, path: Path, name: str, what: str) -> None:
    if not condition:
        raise BadInput(f"In {path} {name} must be {what}.")


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
