# amaranth: UnusedElaboratable=no
import gc
import re
import warnings
from importlib.metadata import version
from pathlib import Path

import pytest
from amaranth import EnableInserter, Module, ResetInserter, Signal
from amaranth.back import rtlil
from amaranth.hdl import UnusedElaboratable
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from implicore.hw.verilog import amaranth_internals

ROOT = Path(__file__).resolve().parent.parent


class Register(wiring.Component):
    def __init__(self, bits):
        self.bits = bits
        super().__init__({"d": In(bits), "q": Out(bits)})

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.q.eq(self.d)
        return m


def test_amaranth_is_a_release_that_the_emission_was_tested_with():
    installed = version("amaranth")
    assert installed in amaranth_internals.TESTED_VERSIONS, (
        f"Verilog emission has not been tested with Amaranth {installed}: if all other tests of "
        "tests/test_amaranth_internals.py and tests/test_verilog*.py pass and the Verilog of "
        "`small` is unchanged, add the version to TESTED_VERSIONS in "
        "hw/verilog/amaranth_internals.py."
    )


def test_the_declared_range_begins_and_ends_with_tested_releases():
    (low, high) = re.search(
        r'"amaranth>=([\d.]+),<([\d.]+)"', (ROOT / "pyproject.toml").read_text()
    ).groups()
    assert low == amaranth_internals.TESTED_VERSIONS[0]
    assert all(tested.startswith("0.5.") for tested in amaranth_internals.TESTED_VERSIONS)
    assert high == "0.6"


def test_attributes_are_neither_ports_nor_amaranths():
    register = Register(4)
    amaranth_internals.mark_used(register)
    assert amaranth_internals.attributes(register) == {"bits"}
    register._secret = 1
    assert amaranth_internals.attributes(register) == {"bits", "_secret"}


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_component_marked_as_used_goes_without_a_warning():
    rtlil.convert(Register(1))  # Amaranth does not warn before it has elaborated anything
    # The first line of this file turns the warning off for what is made in this file.
    make = compile("Register(1)", "elsewhere.py", "eval")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnusedElaboratable)
        amaranth_internals.mark_used(eval(make))
        gc.collect()
    with pytest.warns(UnusedElaboratable):
        eval(make)
        gc.collect()


def test_a_replaced_submodule_stands_last():
    m = Module()
    m.submodules.first = Register(1)
    m.submodules.second = second = Register(2)
    m.submodules += Register(3)
    other = Register(4)
    amaranth_internals.replace_submodule(m, "first", other)
    assert list(amaranth_internals.named_submodules(m).items()) == [
        ("second", second),
        ("first", other),
    ]


def test_a_reset_inserter_is_split():
    register, reset = Register(1), Signal()
    assert amaranth_internals.split_reset(register) == (register, None)
    component, signal = amaranth_internals.split_reset(ResetInserter(reset)(register))
    assert component is register
    assert signal is reset


@pytest.mark.parametrize(
    ("wrap", "name"),
    [
        (lambda c: EnableInserter(Signal())(c), "EnableInserter"),
        (lambda c: ResetInserter({"fast": Signal()})(c), "ResetInserter"),
        (lambda c: ResetInserter(Signal())(ResetInserter(Signal())(c)), "ResetInserter"),
    ],
)
def test_another_transformer_is_an_error(wrap, name):
    message = (
        rf"^{name} around Register cannot be emitted: "
        r"use a single ResetInserter in the domain sync\.$"
    )
    with pytest.raises(TypeError, match=message):
        amaranth_internals.split_reset(wrap(Register(1)))


def test_rtlil_and_verilog_have_the_ports_by_name():
    register = Register(4)
    ports = {"into": (register.d, "input"), "out_of": (register.q, "output")}
    text = amaranth_internals.to_rtlil(register.elaborate(None), "thing", ports)
    amaranth_internals.mark_used(register)
    script = f"read_rtlil <<rtlil\n{text}\nrtlil\nproc\nwrite_verilog -noattr\n"
    verilog = amaranth_internals.run_yosys(script)
    assert "module thing(" in verilog
    assert re.search(r"^  input \[3:0\] into;", verilog, re.M)
    assert re.search(r"^  output \[3:0\] out_of;", verilog, re.M)
