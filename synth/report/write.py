"""Write the report page of a folder."""

from __future__ import annotations

from pathlib import Path

from implicore.errors import BadInput

from .demo import RECORD, demo_page
from .sweep import DESCRIPTION, sweep_page

PAGES = {DESCRIPTION: sweep_page, RECORD: demo_page}
"""Functions that write a page, by the file that marks their kind of folder."""


def write_report(folder: str | Path) -> Path:
    """Write the page of a sweep's or a demo's folder; BadInput for any other folder."""
    for name, page in PAGES.items():
        if (Path(folder) / name).is_file():
            return page(folder)
    raise BadInput(
        f"{folder} contains neither a sweep ({DESCRIPTION}) nor a demo ({RECORD}): name a folder "
        "written by implicore sweep or implicore demo."
    )
