"""Points of a sweep: one accelerator that decodes one network."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields, replace

from implicore.accelerator_config import AcceleratorConfig
from implicore.config_file import FIELDS, make_config
from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.model.checkpoint import Model
from implicore.network_shape import NETWORKS, PRESET_PATCHES, NetworkShape
from implicore.patch import POINT, patch_name
from implicore.program import Program

SOURCES = ("model", "program", "network")
"""Kinds of source: a model that is compiled for each format, a program, or a preset's shape."""

WIDTHS = tuple(field.name for field in fields(Formats))[2:]
"""Widths of the formats that are separate axes, besides the names of the formats."""


@dataclass(frozen=True, eq=False)
class Source:
    """The network that the accelerator of a point decodes.

    Attributes
    ----------
    kind, name : str
        One of ``SOURCES``; the file or preset as the description names it.
    shape : NetworkShape
    content : Model, Program or None
    digest : str
        Digest of the file; empty for a preset.
    """

    kind: str
    name: str
    shape: NetworkShape
    content: Model | Program | None = None
    digest: str = ""

    @property
    def network(self) -> str:
        """Name of the preset with this shape; if there is none, the shape in words."""
        for name, shape in NETWORKS.items():
            if shape == self.shape:
                return name
        shape = self.shape
        skips = f", skips {','.join(map(str, shape.skips))}" if shape.skips else ""
        outputs = f", outputs {shape.outputs}" if shape.outputs > 1 else ""
        return f"L {shape.frequencies}, width {shape.width}, depth {shape.depth}{skips}{outputs}"

    @property
    def patch(self) -> str:
        """The block of voxels of a point, as in ``4x4x4``."""
        if self.content is not None:
            return patch_name(self.content.patch)
        return patch_name(PRESET_PATCHES.get(self.name, POINT))


@dataclass(frozen=True)
class Point:
    """A point of the grid.

    Attributes
    ----------
    id : str
        Equal accelerators that decode the same source have equal ids.
    settings : dict
        The grid's values, by axis.
    source : Source
    config : AcceleratorConfig or None
        None if the values do not make a configuration.
    error : str
        The reason, if ``config`` is None; else empty.
    """

    id: str
    settings: dict
    source: Source
    config: AcceleratorConfig | None
    error: str = ""


def make_point(settings: dict, source: Source) -> Point:
    """Return the point with these values of the axes.

    The memories and lanes are sized for the source, unless ``networks`` is one of the axes.
    """
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
    fields_of_point = config.to_dict() if config else settings
    text = json.dumps([fields_of_point, source.kind, source.name], sort_keys=True)
    size = f"{settings['rows']}x{settings['columns']}"
    formats = config.formats if config else settings.get("formats", "")
    identity = hashlib.sha256(text.encode()).hexdigest()[:8]
    return Point(f"{size}-{formats}-{identity}", settings, source, config, error)
