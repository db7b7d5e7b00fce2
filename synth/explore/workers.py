"""Dask workers of a running scheduler, or of a cluster on this machine."""

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

TIMEOUT = "20s"
"""Time for the scheduler to answer, and for its first worker to appear."""

PRELOAD = "implicore.synth.explore.flow"
"""Module that workers import when they start."""


class Workers:
    """Dask workers, started or connected when they are first needed.

    A task of a worker that dies is given to another worker. A task whose outcome has been returned
    is not computed again.

    Parameters
    ----------
    address : str, optional
        Address of a running scheduler, ``tcp://host:port``. By default a cluster is started on
        this machine: one process with one thread for each core.
    """

    def __init__(self, address: str | None = None):
        self.address = address
        self._stack = ExitStack()

    def __enter__(self) -> Workers:
        """Return the workers; none is started yet."""
        return self

    def __exit__(self, *error) -> None:
        """Cancel running tasks and stop what was started."""
        self._stack.close()

    @cached_property
    def client(self) -> distributed.Client:
        """The connection; BadInput if no scheduler answers or it has no workers."""
        # Dask logs workers that come and go, which does not concern the user of a sweep.
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
                    preload=[PRELOAD],  # in parallel, before any of them is waited for
                )
            )
        try:
            client = distributed.Client(address, timeout=TIMEOUT, set_as_default=False)
        except (OSError, ValueError) as error:
            raise BadInput(f"No Dask scheduler answers at {address}: {error}.") from None
        self._stack.enter_context(client)
        try:
            client.wait_for_workers(1, timeout=TIMEOUT)
        except (TimeoutError, asyncio.TimeoutError):
            raise BadInput(
                f"The Dask scheduler at {address} has no workers: start some with "
                f"dask worker {address}."
            ) from None
        return client

    @property
    def cores(self) -> int:
        """Number of threads of all connected workers."""
        return sum(self.client.nthreads().values())

    def submit(self, function: Callable, *arguments, priority: int = 0) -> distributed.Future:
        """Submit a call of a function; arguments may be futures."""
        return self.client.submit(function, *arguments, pure=False, priority=priority)

    def outcomes(
        self, futures: dict[distributed.Future, object]
    ) -> Iterator[tuple[object, object]]:
        """Yield the value and the outcome of each future as it completes.

        An outcome is the function's result or the exception that it ended with. ``futures`` is
        emptied along the way, so that Dask can release the results.
        """
        if not futures:
            return
        for future in distributed.as_completed(list(futures), loop=self.client.loop):
            try:
                outcome = future.result()
            except CancelledError:
                raise BadInput(
                    "The connection to the Dask scheduler was lost: continue with --resume."
                ) from None
            except KilledWorker as error:
                outcome = BadInput(f"Several workers died while computing it: {error}")
            except Exception as error:  # noqa: BLE001 - any failure is that of one task
                outcome = error
            yield futures.pop(future), outcome


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def one_line(error: BaseException) -> str:
    """Return the message of an exception on one line, with its type unless it is BadInput."""
    text = " ".join(str(error).split())
    return text if isinstance(error, BadInput) and text else f"{type(error).__name__}: {text}"
