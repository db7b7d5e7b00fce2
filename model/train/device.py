"""Choice of torch's device and precision."""

from __future__ import annotations

import time

import torch

from implicore.errors import BadInput

from ..network import one_thread


def choose_device(name: str) -> torch.device:
    """Return the device of this name, or the best one for 'auto'.

    Raises
    ------
    BadInput
        If the device is not available.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise BadInput(f"The device {name!r} is not available: use auto or cpu.") from error
    return torch.device(name)


def bf16_helps(device: torch.device) -> bool:
    """Return whether matrix products are clearly faster in bfloat16; measure for milliseconds."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    times = {}
    with one_thread():
        for dtype in (torch.float32, torch.bfloat16):
            a, b = torch.ones(1024, 128, dtype=dtype), torch.ones(128, 128, dtype=dtype)
            runs = []
            for _ in range(8):
                started = time.perf_counter()
                a @ b
                runs.append(time.perf_counter() - started)
            times[dtype] = min(runs)
    return times[torch.bfloat16] < 0.75 * times[torch.float32]
