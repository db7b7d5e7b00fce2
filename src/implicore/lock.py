"""Exclusive file locks between processes."""

from __future__ import annotations

import fcntl
from typing import IO

from .errors import BadInput


def lock(file: IO, *, wait: bool = True) -> bool:
    """Lock an open file exclusively until it is closed.

    Parameters
    ----------
    file : file object
    wait : bool
        Wait while another process holds the lock.

    Returns
    -------
    bool
        Whether the file was locked; can be False only without ``wait``.

    Raises
    ------
    BadInput
        The file system does not support locks.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError as error:
        raise BadInput(f"{file.name} cannot be locked: {error.strerror}.") from None
    return True
