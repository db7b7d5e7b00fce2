"""Run the demo's steps that are not complete, and write its page."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from pathlib import Path

from ..atomic import make_folder
from ..errors import BadInput
from .clock import clock
from .record import Record
from .steps import steps, write_inputs
from .tools import check_tools


def demo(
    folder: str | Path,
    execute: Callable[[list[str]], tuple[int, dict]],
    *,
    quiet: bool = False,
) -> tuple[int, dict]:
    """Run the whole flow and write ``report.html``.

    Parameters
    ----------
    folder : path-like
        Created if it does not exist. Steps that an earlier run completed there are skipped.
    execute : function (arguments) -> (int, dict)
        Runs the subcommand with these arguments and returns its exit code and its metrics.
    quiet : bool
        Print nothing.

    Returns
    -------
    int
        0, or the exit code of the step that failed; the steps after it are not run.
    dict
        The metrics of each step, by its name.

    Raises
    ------
    BadInput
        A tool is missing, which is checked before the first step, or a step cannot be run.
    """

    def say(text: str = "") -> None:
        if not quiet:
            print(text, flush=True)

    target, library = check_tools()
    from ..synth.report.demo import RECORD, demo_page, summary

    path = steps(target, library)
    folder = make_folder(folder)
    if not (folder / RECORD).exists() and any(folder.iterdir()):
        raise BadInput(
            f"{folder} holds files that do not belong to a demo: choose an empty or new folder."
        )
    began = time.perf_counter()
    record = Record(folder / RECORD, target)
    write_inputs(folder, target)
    metrics = {}
    for number, step in enumerate(path, 1):
        arguments = step.command(folder)
        command = f"implicore {shlex.join(arguments)}"
        say(f"[{number}/{len(path)}] {step.title}")
        say(f"  $ {command}")
        done = record.metrics(step)
        if done is not None:
            say("  complete from an earlier run")
            metrics[step.name] = done
            continue
        record.begin(step)
        started = time.perf_counter()
        with clock(step.name, quiet):
            code, metrics[step.name] = execute([*arguments, *(["--quiet"] if quiet else [])])
        if code:
            return code, metrics
        record.finish(step, command, time.perf_counter() - started, metrics[step.name])
    page = demo_page(folder)
    say()
    for name, value in summary(metrics, folder):
        say(f"  {name:24} {value}")
    say(f"  {'page':24} {page}")
    say(f"  {'time':24} {time.perf_counter() - began:.0f} s")
    return 0, metrics
