"""Common parts of the measurements: options, a live table, goals, exit codes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from threadpoolctl import threadpool_limits

from implicore.atomic import atomic_write, write_json
from implicore.errors import BadInput


def parser(text: str) -> argparse.ArgumentParser:
    """Make a parser with the script's docstring and with ``--json``."""
    result = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    result.add_argument("--json", metavar="FILE", help="write the results to a JSON file")
    return result


class Table:
    """Rows of results, printed as they arrive.

    Parameters
    ----------
    columns : mapping of str to (str, str)
        Key in the row, mapped to the title and the format of the values, such as ``7.2f``. A column
        is at least as wide as its title. None is printed as an empty cell.
    """

    def __init__(self, columns: Mapping[str, tuple[str, str]]):
        self.columns = columns
        self.rows = []
        self.missed = False
        self._print({key: title for key, (title, _) in columns.items()})

    def add(self, row: dict, *, missed: bool = False) -> None:
        """Print a row; ``missed`` is true if it missed a goal."""
        self.rows.append(row)
        self.missed |= missed
        cells = {
            key: "" if row[key] is None else format(row[key], form)
            for key, (_, form) in self.columns.items()
        }
        self._print(cells)

    def end(self, json: str | None) -> int:
        """Write the rows to a JSON file, if one is named; return 1 if a goal was missed."""
        if json:
            write_json(json, {"runs": self.rows})
        return int(self.missed)

    def _print(self, cells: dict[str, str]) -> None:
        line = []
        for key, (title, form) in self.columns.items():
            width = max(len(title), len(format(0, form)))
            line.append(f"{cells[key]:{'<' if '<' in form else '>'}{width}}")
        print("  ".join(line).rstrip(), flush=True)


def write(path: str | Path, script: str, text: str) -> None:
    """Replace a script's table in a document: what is between its markers."""
    path, name = Path(path), Path(script).name
    begin, end = f"<!-- bench/{name} -->", f"<!-- end of bench/{name} -->"
    before, rest = path.read_text(encoding="utf-8").split(begin)
    with atomic_write(path) as temporary:
        content = f"{before}{begin}\n\n{text}\n{end}{rest.split(end)[1]}"
        Path(temporary).write_text(content, encoding="utf-8")


def run(main: Callable[[], int]) -> None:
    """Run ``main`` with one BLAS thread and exit with its code.

    Bad input is reported in one sentence, with exit code 2.
    """
    try:
        with threadpool_limits(1):
            code = main()
    except (BadInput, ValueError) as error:
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        code = 2
    sys.exit(code)
