"""Where a sweep's work is done: Dask workers of a running scheduler, or of a cluster of our own."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack
from functools import cached_property

import distributed
from distributed.scheduler import KilledWorker

from implicore.errors import BadInput

PATIENCE = "20s"
"""For a scheduler to answer, and for its first worker."""

WORK = "implicore.synth.explore.flow"
"""What workers need to import."""


class Workers:
    """Dask workers, asked for when they are first needed.

    Work that a dying worker had in hand is given to another one; what has been handed out here is
    never computed again.

    Parameters
    ----------
    address : str, optional
        Of a running scheduler, ``tcp://host:port``; else a cluster of this machine's cores is
        started, each worker a process of one thread.
    """

    def __init__(self, address: str | None = None):
        self.address = address
        self._stack = ExitStack()

    def __enter__(self) -> Workers:
        """Start nothing yet."""
        return self

    def __exit__(self, *error) -> None:
        """Give up what is under way, and end what was started."""
        self._stack.close()

    @cached_property
    def client(self) -> distributed.Client:
        """The connection; BadInput if nobody answers or there are no workers."""
        # What Dask logs of workers that come and go is not for the user of a sweep.
        for name in ("distributed", "distributed.client"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        address = self.address
        if address is None:
            address = self._stack.enter_context(
                distributed.LocalCluster(
                    n_workers=_cores(),
                    threads_per_worker=1,
                    host="127.0.0.1",
                    dashboard_address="127.0.0.1:0",
                    memory_limit=0,
                    silence_logs=logging.CRITICAL,
                    preload=[WORK],  # side by side, before they are waited for
                )
            )
        try:
            client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
        except (OSError, ValueError) as error:
            raise BadInput(f"No Dask scheduler answers at {address}: {error}.") from None
        self._stack.enter_context(client)
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except (TimeoutError, asyncio.TimeoutError):
            raise BadInput(f"The Dask scheduler at {address} has no workers.") from None
        return client

    @property
    def cores(self) -> int:
        """Threads of all workers that are there now."""
        return sum(self.client.nthreads().values())

    def submit(self, function: Callable, *arguments, priority: int = 0) -> distributed.Future:
        """Have a worker call a function; arguments may be futures."""
        return self.client.submit(function, *arguments, pure=False, priority=priority)

    def each(self, futures: dict[distributed.Future, object]) -> Iterator[tuple[object, object]]:
        """What was asked for, as it comes: whatever stands beside a future, and its outcome.

        An outcome is the function's result or the exception that it ended with. ``futures`` is
        emptied on the way, so that Dask forgets what has been handed out.
        """
        if not futures:
            return
        for future in distributed.as_completed(list(futures), loop=self.client.loop):
            try:
                outcome = future.result()
            except CancelledError:
                raise BadInput(
                    "The connection to the Dask scheduler was lost: go on with --resume."
                ) from None
            except KilledWorker as error:
                outcome = BadInput(f"Workers died of it, one after the other: {error}")
            except Exception as error:  # noqa: BLE001 - whatever it is, it is one task's
                outcome = error
            yield futures.pop(future), outcome


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def sentence(error: BaseException) -> str:
    """What an exception says, on one line."""
    text = " ".join(str(error).split())
    return text if isinstance(error, BadInput) and text else f"{type(error).__name__}: {text}"
