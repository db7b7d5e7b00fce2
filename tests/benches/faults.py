"""Do the benches look at every output? Each output in turn is wrong in its lowest bit.

A bench that passes nevertheless fails here.
"""

import os

import cocotb
from cocotb.triggers import SimTimeoutError, with_timeout

from .in_cocotb import run

OUTPUTS = os.environ["IMPLICORE_OUTPUTS"].split()

NOTICED = (AssertionError, SimTimeoutError, LookupError, ValueError)
"""How a bench may fail: an assertion, waiting for ever, or a response that it does not know."""


@cocotb.test()
@cocotb.parametrize(number=range(len(OUTPUTS)))
async def notices(dut, number):
    """The bench of the output's component fails."""
    component, _, port = OUTPUTS[number].partition("__")
    try:
        await with_timeout(run(dut, component, fault=number + 1), 30, "us")
    except NOTICED:
        return
    raise AssertionError(f"{component} passes with a wrong {port}")
