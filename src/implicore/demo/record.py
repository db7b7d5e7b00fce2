"""The record of a demo: which steps are complete, and which one was begun.

A step is complete for a *key*, the digest of implicore's sources, the step's arguments and the
content of its inputs, and only while its outputs have the content that it wrote.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from .. import __version__
from ..atomic import write_json
from ..digest import LAYERS, json_digest, path_digest, source_digest
from .steps import Step

FIELDS = {"title", "command", "seconds", "key", "outputs", "metrics"}
"""Fields of a complete step in the record."""

SOURCES = sorted({"implicore", *LAYERS} - {"implicore.synth.report"})
"""Packages that the steps depend on, without the report: every run writes the page again."""


class Record:
    """The steps that are complete in a demo's folder, kept in a JSON file.

    Parameters
    ----------
    path : Path
        The file. A missing or damaged file counts as an empty record.
    target : str
        The target that the demo synthesizes for.
    """

    def __init__(self, path: Path, target: str):
        self.path, self.folder = path, path.parent
        self._sources = source_digest(*SOURCES)
        self._content = {"version": __version__, "target": target, **_read(path)}
        self._save()

    def _save(self) -> None:
        write_json(self.path, self._content)

    def key(self, step: Step) -> str:
        """Return the key of a step, given the current sources and inputs."""
        inputs = [content_digest(self.folder / name) for name in step.inputs]
        return json_digest([self._sources, step.arguments, inputs])

    def metrics(self, step: Step) -> dict | None:
        """Return the metrics of a step if it is complete, else None."""
        done = self._content["steps"].get(step.name)
        if done and done["key"] == self.key(step) and done["outputs"] == self._outputs(step):
            return done["metrics"]
        return None

    def begin(self, step: Step) -> None:
        """Record that a step begins; its outputs are not trusted until ``finish``.

        Outputs of an earlier attempt are kept, for the step to continue from, only if that attempt
        had the same key.
        """
        key = self.key(step)
        if self._content["begun"] != key:
            for name in filter(None, (*step.outputs, step.draft)):
                _remove(self.folder / name)
        self._content["begun"] = key
        self._content["steps"].pop(step.name, None)
        self._save()

    def finish(self, step: Step, command: str, seconds: float, metrics: dict) -> None:
        """Record that the step begun last is complete."""
        self._content["steps"][step.name] = {
            "title": step.title,
            "command": command,
            "seconds": round(seconds, 1),
            "key": self._content["begun"],
            "outputs": self._outputs(step),
            "metrics": metrics,
        }
        self._save()

    def _outputs(self, step: Step) -> dict[str, str]:
        return {name: content_digest(self.folder / name) for name in step.outputs}


def _read(path: Path) -> dict:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        steps = {name: step for name, step in record["steps"].items() if set(step) >= FIELDS}
        return {"begun": record["begun"], "steps": steps}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {"begun": "", "steps": {}}


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def content_digest(path: Path) -> str:
    """Return a digest of a file, or of all files in a folder; empty if neither exists."""
    return path_digest(path) if path.exists() else ""
