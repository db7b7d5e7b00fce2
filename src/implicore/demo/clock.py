"""A running clock on the screen for steps that show no progress bar."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SILENT = ("generate", "simulate", "synth")
"""Subcommands that may take long and show no progress bar."""


@contextmanager
def clock(name: str, quiet: bool) -> Iterator[None]:
    """Show the seconds since the step ``name`` began, if it is silent and stderr is a terminal."""
    if quiet or not name.startswith(SILENT) or not sys.stderr.isatty():
        yield
        return
    from contextlib import redirect_stdout

    from tqdm import tqdm
    from tqdm.contrib import DummyTqdmFile

    ended = threading.Event()
    with tqdm(bar_format="  {elapsed}", leave=False) as bar:

        def tick():
            while not ended.wait(1):
                bar.refresh()

        ticker = threading.Thread(target=tick, daemon=True)
        ticker.start()
        try:
            with redirect_stdout(DummyTqdmFile(sys.stdout)):  # prints lines above the clock
                yield
        finally:
            ended.set()
            ticker.join()
