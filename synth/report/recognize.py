"""Which page a folder asks for."""

from __future__ import annotations

from pathlib import Path

from implicore.errors import BadInput

from .demo import RECORD, demo_page
from .sweep import DESCRIPTION, sweep_page

PAGES = {DESCRIPTION: sweep_page, RECORD: demo_page}
"""By the file that a folder of that kind holds."""


def write_report(folder: str | Path) -> Path:
    """Write the page of a sweep's or a demo's folder; BadInput if it is neither."""
    for name, page in PAGES.items():
        if (Path(folder) / name).is_file():
            return page(folder)
    raise BadInput(
        f"{folder} holds neither a sweep ({DESCRIPTION}) nor a demo ({RECORD}): name the folder "
        "that `implicore sweep` or `implicore demo` wrote."
    )
