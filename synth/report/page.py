"""Common parts of the pages: templates, reading and writing files, embedded pictures."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from implicore.atomic import atomic_write
from implicore.errors import BadInput

PAGE = "report.html"


def write_page(folder: Path, template: str, **content) -> Path:
    """Render a template of this package into the folder's page and return its path."""
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}  # columns keep their order
    text = environment.get_template(template).render(**content)
    path = folder / PAGE
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def read_json(path: Path) -> dict:
    """Read a JSON object from a file; BadInput if it cannot be read or is something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise BadInput(f"{path} is damaged: it is not JSON.") from None
    if not isinstance(content, dict):
        raise BadInput(f"{path} is damaged: it is not a JSON object.")
    return content


def inline_png(path: Path) -> str:
    """Return a PNG file as a data URL; BadInput if it cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
    return data_png(content)


def data_png(content: bytes) -> str:
    """Return the content of a PNG file as a data URL."""
    return "data:image/png;base64," + base64.b64encode(content).decode()
