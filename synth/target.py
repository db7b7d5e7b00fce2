"""Targets: a cell library and the memories that go with it.

A target is a Liberty file and a short description in TOML. A target of ``synth/targets`` is chosen
by name, any other by the path of its description.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from implicore.errors import BadInput

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).parent / "targets"
FIELDS = {
    *("title", "corner", "root", "install", "cells", "tie_high", "tie_low", "driver"),
    *("clock_gate", "scan_clock_gate", "exclude", "macros", "estimate"),
}

TEST_ENABLE = "test_enable"
"""Input of every module of a netlist for scan: while it is high, no clock is gated."""


def names() -> list[str]:
    """Return the names of the targets that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


@dataclass(frozen=True)
class Target:
    """A cell library with its memories.

    Attributes
    ----------
    name, title, corner : str
        ``corner`` is the process, voltage and temperature of the library.
    liberty : Path
        The cell library.
    tie_high, tie_low : tuple of str
        Cell and pin of a constant; empty if the library has none.
    driver : str
        Cell that is assumed to drive the inputs of every module; empty for ideal inputs.
    clock_gate : tuple of str
        Clock gate: cell, enable, clock and output, in a netlist for scan also the test enable;
        empty if clocks are not gated.
    scan_clock_gate : tuple of str
        Clock gate with a test enable: cell, enable, clock, output and test enable; empty if the
        library has none.
    exclude : tuple of str
        Cells that are not used.
    macros : dict
        Paths of the SRAM macros and the names of their pins; empty if there are none.
    macro_files : tuple of Path
        Liberty files of the SRAM macros.
    estimate : dict
        ``scale`` in um and ``voltage`` in V of the memory model, if there are no macros.
    """

    name: str
    title: str
    corner: str
    liberty: Path
    tie_high: tuple[str, ...]
    tie_low: tuple[str, ...]
    driver: str
    clock_gate: tuple[str, ...]
    scan_clock_gate: tuple[str, ...]
    exclude: tuple[str, ...]
    macros: dict
    macro_files: tuple[Path, ...]
    estimate: dict

    def for_scan(self) -> Target:
        """Return the target with clock gates that ``test_enable`` opens.

        Raises BadInput if the library has clock gates, but none with a test enable.
        """
        if self.clock_gate and not self.scan_clock_gate:
            raise BadInput(
                f"The target {self.name} has no clock gate with a test enable: name one in "
                "scan_clock_gate of its description, or omit --scan."
            )
        return replace(self, clock_gate=self.scan_clock_gate)

    @property
    def memories(self) -> str:
        """Source of the memories' area, delay and energy, in a sentence."""
        if self.macros:
            return f"SRAM macros of {self.title}, from their Liberty files"
        scale = f"{self.estimate['scale']} um and {self.estimate['voltage']} V"
        return (
            "ESTIMATED memories: a model fitted to the SRAM macros of IHP SG13G2 (within 15 % of "
            f"each), scaled to {scale}"
        )


def find(name: str) -> Target:
    """Return the target of this name, or the one that this TOML file describes.

    Raises BadInput if the target or one of its files does not exist, or the description is invalid.
    """
    path = FOLDER / f"{name}.toml" if name in names() else Path(name)
    if path.suffix != ".toml":
        raise BadInput(f"There is no target {name!r}: choose {', '.join(names())} or a TOML file.")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"The target {path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"The target {path} is not TOML: {error}.") from None
    return _target(path, content)


def _target(path: Path, content: dict) -> Target:
    for field in content.keys() - FIELDS:
        raise BadInput(
            f"The target {path} has an unknown field {field!r}: choose {sorted(FIELDS)}."
        )
    for field in ("title", "corner", "cells"):
        if not isinstance(content.get(field), str):
            raise BadInput(f"The target {path} has no {field!r}, which must be a string.")
    if ("macros" in content) == ("estimate" in content):
        raise BadInput(
            f"The target {path} must have either a table [macros] or a table [estimate]."
        )
    title = content["title"]
    how = content.get("install", f"check the paths in {path}")
    root = path.parent
    if variable := content.get("root"):
        if not os.environ.get(variable):
            raise BadInput(
                f"{title} needs the environment variable {variable}, which is not set: {how}."
            )
        root = Path(os.environ[variable])
    liberty = root / content["cells"]
    if not liberty.is_file():
        raise BadInput(f"{title} needs {liberty}, which does not exist: {how}.")
    macros = content.get("macros", {})
    pattern = macros.get("files", "")
    files = tuple(sorted(root.glob(pattern))) if pattern else ()
    if macros and not files:
        raise BadInput(f"{title} has no SRAM macros at {root / pattern}: {how}.")
    return Target(
        name=path.stem,
        title=title,
        corner=content["corner"],
        liberty=liberty.resolve(),
        tie_high=tuple(content.get("tie_high", ())),
        tie_low=tuple(content.get("tie_low", ())),
        driver=content.get("driver", ""),
        clock_gate=tuple(content.get("clock_gate", ())),
        scan_clock_gate=tuple(content.get("scan_clock_gate", ())),
        exclude=tuple(content.get("exclude", ())),
        macros=macros,
        macro_files=files,
        estimate=content.get("estimate", {}),
    )
