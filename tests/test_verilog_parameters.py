# amaranth: UnusedElaboratable=no
"""Components state their parameters: the arguments of their constructor, and nothing else."""

import importlib
import inspect
import pkgutil

import pytest
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

import implicore.hw
from implicore.accelerator_config import ACCELERATORS
from implicore.ecc import Code
from implicore.formats import Formats
from implicore.hw.ulx3s import Pll
from implicore.hw.verilog.amaranth_internals import mark_used
from implicore.hw.verilog.parameters import parameters

VALUES = {
    "config": ACCELERATORS["tiny"],
    "formats": Formats(8, 8),
    "gate_zeros": True,
    "words": [1, 2, 3],
    "role": "features",
    "pll": Pll.near(60),
    "baud": 3_000_000,
    "address_bits": 8,
    "output_bits": 8,
    "protection": "secded",
    "code": Code("secded", 16),
}
"""Arguments for every component; those not listed are 16."""


def components():
    found = set()
    for module in pkgutil.walk_packages(implicore.hw.__path__, "implicore.hw."):
        for _, value in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(value, wiring.Component) and value.__module__ == module.name:
                found.add(value)
    return sorted(found, key=lambda value: value.__name__)


@pytest.mark.parametrize("component", components(), ids=lambda value: value.__name__)
def test_every_component_states_its_parameters(component):
    arguments = {name: VALUES.get(name, 16) for name in inspect.signature(component).parameters}
    made = component(**arguments)
    mark_used(made)
    arguments = {n: tuple(v) if isinstance(v, list) else v for n, v in arguments.items()}
    assert parameters(made) == arguments


def test_all_components_are_found():
    names = {component.__name__ for component in components()}
    assert {"Accelerator", "Multiplier", "Rom", "HostLink", "Ulx3s"} <= names


class Stated(wiring.Component):
    def __init__(self, n):
        self.n = n
        super().__init__({"out": Out(8)})


class Hidden(wiring.Component):
    def __init__(self, n):
        self._n = n
        super().__init__({"out": Out(8)})


class Forgotten(wiring.Component):
    def __init__(self, n):
        super().__init__({"out": Out(8)})


def test_parameters_are_the_arguments_by_name():
    assert parameters(Stated(3)) == {"n": 3}


def test_unlisted_state_is_an_error():
    message = (
        r"^Hidden\._n is neither a port nor an argument of Hidden's constructor: "
        r"make it an argument, or compute it in a property or in elaborate\(\)\.$"
    )
    with pytest.raises(TypeError, match=message):
        parameters(Hidden(3))
    late = Stated(3)
    late.depth = 4
    with pytest.raises(TypeError, match=r"^Stated\.depth is neither a port nor an argument"):
        parameters(late)


def test_argument_without_an_attribute_is_an_error():
    message = r"^Forgotten does not keep its argument n: set self\.n in __init__\(\)\.$"
    with pytest.raises(TypeError, match=message):
        parameters(Forgotten(3))


def test_mutable_argument_is_an_error():
    message = r"^Stated\.n is a list, which is not hashable: use a tuple or a frozen dataclass\.$"
    with pytest.raises(TypeError, match=message):
        parameters(Stated([3]))


def test_ports_are_not_parameters():
    class Ports(wiring.Component):
        a: In(3)
        b: Out(3)

    assert parameters(Ports()) == {}
