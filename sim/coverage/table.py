"""The table of coverage: modules, functional points, exclusions, and what is not covered."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from .exclusions import EXCLUSIONS
from .measure import KINDS, Coverage

GOALS = {"line": 98.0, "branch": 98.0, "toggle": 95.0, "points": 100.0}
"""Smallest percentage of each kind of coverage, over all modules."""


@dataclass
class Share:
    """What is covered, of what counts."""

    covered: int = 0
    total: int = 0

    def add(self, covered: bool) -> None:
        """Count one more."""
        self.covered += covered
        self.total += 1

    @property
    def percent(self) -> float:
        """Percentage that is covered; 100 of nothing."""
        return 100 * self.covered / self.total if self.total else 100.0

    def __str__(self) -> str:
        return f"{self.percent:.1f} % of {self.total:,}" if self.total else ""


@dataclass
class Table:
    """Coverage in numbers.

    Attributes
    ----------
    modules : dict of str to dict of str to Share
        By module and kind.
    totals : dict of str to Share
        By kind, over all modules; and ``points``.
    groups : dict of str to Share
        Functional points by group.
    excluded : list of int
        Places that each of ``EXCLUSIONS`` takes away.
    holes : list of str
        A line for each place and functional point that is not covered.
    """

    modules: dict[str, dict[str, Share]]
    totals: dict[str, Share]
    groups: dict[str, Share]
    excluded: list[int]
    holes: list[str] = field(default_factory=list)

    @property
    def missed(self) -> list[str]:
        """A sentence for each goal that is not reached."""
        return [
            f"{self.totals[kind].percent:.2f} % of the {_NAMES[kind]} are covered, not {goal:g} %."
            for kind, goal in GOALS.items()
            if self.totals[kind].percent < goal
        ]


_NAMES = {
    "line": "lines",
    "branch": "branches",
    "toggle": "toggles",
    "points": "functional points",
}


def table(coverage: Coverage) -> Table:
    """Count what sessions covered."""
    modules: dict = defaultdict(lambda: {kind: Share() for kind in KINDS})
    totals = {kind: Share() for kind in GOALS}
    excluded: Counter = Counter()
    holes = []
    for place, count in sorted(coverage.places.items()):
        reason = next((n for n, e in enumerate(EXCLUSIONS) if e.matches(place)), None)
        if reason is not None:
            excluded[reason] += 1
            continue
        modules[place.module][place.kind].add(count > 0)
        totals[place.kind].add(count > 0)
        if not count:
            what = place.what.replace("__02e", ".")
            where = f"{place.module or 'top'} ({place.text[:4]}) line {place.line + 1}"
            holes.append(f"{place.kind}: {where}: {what} {place.source}".rstrip())
    groups: dict = defaultdict(Share)
    for (group, name), count in coverage.points.items():
        groups[group].add(count > 0)
        totals["points"].add(count > 0)
        if not count:
            holes.append(f"functional point: {group}: {name}")
    numbers = [excluded[number] for number in range(len(EXCLUSIONS))]
    return Table(dict(modules), totals, dict(groups), numbers, holes)


def markdown(result: Table, configurations: list[str], cycles: int) -> str:
    """Return the table as Markdown, for ``docs/coverage.md``."""
    lines = ["| Module | Lines | Branches | Toggles |", "|---|---|---|---|"]
    for module, shares in result.modules.items():
        cells = " | ".join(str(shares[kind]) for kind in KINDS)
        lines.append(f"| `{f'implicore_{module}' if module else 'implicore'}` | {cells} |")
    cells = " | ".join(f"**{result.totals[kind]}**" for kind in KINDS)
    lines += [f"| all modules | {cells} |"]
    goals = " | ".join(f"{GOALS[kind]:g} %" for kind in KINDS)
    lines += [f"| goal | {goals} |", ""]
    lines += ["| Functional points | Reached |", "|---|---|"]
    lines += [
        f"| {group} | {share.covered} of {share.total} |" for group, share in result.groups.items()
    ]
    points = result.totals["points"]
    lines += [f"| all | **{points.covered} of {points.total}** |", ""]
    lines += ["| Excluded | Places | Reason |", "|---|---|---|"]
    for exclusion, count in zip(EXCLUSIONS, result.excluded, strict=True):
        lines.append(f"| {', '.join(exclusion.kinds)} | {count:,} | {exclusion.reason} |")
    lines += ["", f"Measured in {cycles:,} cycles on these accelerators:", ""]
    lines += [f"- {configuration}" for configuration in configurations]
    return "\n".join(lines) + "\n"
