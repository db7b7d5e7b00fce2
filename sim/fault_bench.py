"""Whether the benches of components look at every output: each in turn is wrong in its lowest bit.

A bench that passes nevertheless fails here.
"""

import os

import cocotb
from cocotb.triggers import SimTimeoutError, with_timeout

from . import component_bench, component_ports, control_bench, stream_bench

BENCHES = {**vars(component_bench), **vars(stream_bench), **vars(control_bench)}
OUTPUTS = os.environ["IMPLICORE_OUTPUTS"].split()

NOTICED = (AssertionError, SimTimeoutError, LookupError, ValueError)
"""What a bench may do about wrong answers: complain, wait for ever, or not know what to do."""


@cocotb.test()
@cocotb.parametrize(number=range(len(OUTPUTS)))
async def notices(dut, number):
    """The bench of the output's component fails."""
    component, _, port = OUTPUTS[number].partition("__")
    component_ports.fault = number + 1
    try:
        await with_timeout(BENCHES[component].func(dut), 30, "us")
    except NOTICED:
        return
    finally:
        component_ports.fault = 0
    raise AssertionError(f"{component} passes with a wrong {port}")
