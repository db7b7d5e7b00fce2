"""Coverage of the generated Verilog by the test sessions: lines, branches, toggles, functions.

    python bench/verilog_coverage.py [NAME...] [--steps 40] [--seed 0] [--jobs 2]
                             [--holes FILE] [--write docs/coverage.md] [--json FILE]

Each accelerator of ``implicore.sim.coverage.sessions`` is built with Verilator's coverage counters
and runs random steps of the campaign and directed sessions, whose voxels and cycles are checked.
Instances of a module count together, and equal modules of several accelerators once. The exit code
is 1 if a goal is not reached or a session fails.
"""

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from harness import parser, run, write

from implicore.atomic import write_json
from implicore.errors import BadInput
from implicore.sim.coverage.measure import Coverage, measure
from implicore.sim.coverage.sessions import SUBJECTS, script_of
from implicore.sim.coverage.table import GOALS, markdown, table


def measured(name: str, *, steps: int, seed: int) -> Coverage:
    """Return the coverage of the session of one accelerator."""
    return measure(script_of(SUBJECTS[name], seed=seed, steps=steps), seed=seed)


def describe(name: str) -> str:
    """Return a description of an accelerator in one line."""
    config = SUBJECTS[name].config
    text = f"`{name}`: {config.rows} x {config.columns} PEs, {config.formats}, {config.lanes} lanes"
    text += f", {config.outputs} outputs, {config.voxels_per_beat} voxels a beat"
    text += f", protection {config.protection}"
    return text + (", zero gating" if config.gate_zeros else "")


def main() -> int:
    """Measure, print the table, and return 1 if a goal is not reached."""
    arguments = parser(__doc__)
    arguments.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SUBJECTS))
    arguments.add_argument("--steps", type=int, default=40, help="random steps in each session")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--jobs", type=int, default=2, help="processes")
    arguments.add_argument("--holes", metavar="FILE", help="list what is not covered")
    arguments.add_argument("--write", metavar="FILE.md", help="document whose table to replace")
    options = arguments.parse_args()
    names = options.names or list(SUBJECTS)
    if unknown := set(names) - set(SUBJECTS):
        raise BadInput(f"No accelerator is called {', '.join(sorted(unknown))}.")

    total = Coverage()
    work = partial(measured, steps=options.steps, seed=options.seed)
    with ProcessPoolExecutor(options.jobs) as pool:
        for coverage in pool.map(work, names):
            total.add(coverage)
    result = table(total)
    text = markdown(result, list(map(describe, names)), total.cycles)
    print(text)
    wrong = [*total.failures, *result.missed]
    missing = [hole for hole in result.holes if hole.startswith("functional point")]
    for line in [*missing, *wrong]:
        print(line)
    if options.holes:
        Path(options.holes).write_text("\n".join(result.holes) + "\n", encoding="utf-8")
    if options.write:
        write(options.write, __file__, text)
    if options.json:
        write_json(
            options.json,
            {
                "percent": {kind: result.totals[kind].percent for kind in GOALS},
                "total": {kind: result.totals[kind].total for kind in GOALS},
                "holes": result.holes,
                "failures": total.failures,
                "cycles": total.cycles,
            },
        )
    return int(bool(wrong))


if __name__ == "__main__":
    run(main)
