# amaranth: UnusedElaboratable=no
"""Which components share a module."""

import re

import pytest
from amaranth import Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from implicore.hw.memory import Ram
from implicore.hw.verilog.hierarchy import Hierarchy

# Only the package's own components become modules.
PACKAGE = "implicore.hw.test"


class Adder(wiring.Component):
    """Adds a constant that is not visible at any port."""

    __module__ = PACKAGE

    def __init__(self, n):
        self.n = n
        super().__init__({"a": In(8), "sum": Out(8)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.sum.eq(self.a + self.n)
        return m


class HiddenAdder(Adder):
    __module__ = PACKAGE

    def __init__(self, n):
        super().__init__(n)
        del self.n
        self._n = n


class Counter(wiring.Component):
    __module__ = PACKAGE

    def __init__(self):
        super().__init__({"count": Out(8)})

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.count.eq(self.count + 1)
        return m


class Top(wiring.Component):
    """Adders in a row."""

    __module__ = PACKAGE

    def __init__(self, parts):
        self.parts = parts
        super().__init__({"clear": In(1), "a": In(8), "sum": Out(8)})

    def elaborate(self, platform):
        m = Module()
        value = self.a
        for number, part in enumerate(self.parts):
            m.submodules[f"part_{number}"] = adder = part()
            m.d.comb += adder.a.eq(value)
            value = adder.sum
        m.d.comb += self.sum.eq(value)
        return m


def adders(kind, *constants):
    return tuple(lambda n=n: kind(n) for n in constants)


def test_components_with_equal_parameters_share_a_module():
    hierarchy = Hierarchy(Top(adders(Adder, 1, 2, 1)))
    assert hierarchy.instances() == {
        "implicore": 1,
        "implicore_adder": 2,
        "implicore_adder_1": 1,
    }
    text = hierarchy.verilog()
    assert re.findall(r"^  implicore_(adder\w*) part_(\d)", text, re.M) == [
        ("adder", "0"),
        ("adder_1", "1"),
        ("adder", "2"),
    ]
    assert "a + 1'h1;" in text and "a + 2'h2;" in text


def test_components_that_differ_only_in_unlisted_state_are_not_merged():
    message = r"^HiddenAdder\._n is neither a port nor an argument of HiddenAdder's constructor: "
    with pytest.raises(TypeError, match=message):
        Hierarchy(Top(adders(HiddenAdder, 1, 2)))


def test_components_with_other_ports_do_not_share_a_module():
    class Wide(wiring.Component):
        """Its width is a parameter of none of its instances."""

        __module__ = PACKAGE
        width = 4

        def __init__(self):
            super().__init__({"a": In(self.width), "sum": Out(self.width)})

        def elaborate(self, platform):
            m = Module()
            m.d.comb += self.sum.eq(~self.a)
            return m

    def wide(width):
        Wide.width = width
        return Wide()

    hierarchy = Hierarchy(Top((lambda: wide(4), lambda: wide(5))))
    assert hierarchy.instances() == {"implicore": 1, "implicore_wide": 1, "implicore_wide_1": 1}


def test_memories_are_separate_modules_named_by_role():
    class Memories(Top):
        __module__ = PACKAGE

        def elaborate(self, platform):
            m = Module()
            m.submodules.a, m.submodules.b = Ram("a", 4, 8), Ram("b", 4, 8)
            return m

    hierarchy = Hierarchy(Memories(()))
    assert list(hierarchy.rams) == ["implicore_ram_a", "implicore_ram_b"]
    assert list(hierarchy.texts) == ["implicore"]
    assert "module implicore_ram" not in hierarchy.verilog()


def test_clock_and_reset_appear_only_where_used():
    class Resets(Top):
        __module__ = PACKAGE

        def elaborate(self, platform):
            m = Module()
            counter, m.submodules.adder = Counter(), Adder(1)
            m.submodules.counter = ResetInserter(self.clear)(counter)
            m.d.comb += [
                m.submodules.adder.a.eq(counter.count),
                self.sum.eq(m.submodules.adder.sum),
            ]
            return m

    hierarchy = Hierarchy(Resets(()))
    modules = {
        name: body
        for name, body in re.findall(
            r"^module (\w+)\((.*?)^endmodule", hierarchy.verilog(), re.M | re.S
        )
    }
    assert "clk" in modules["implicore_counter"] and "rst" in modules["implicore_counter"]
    assert "clk" not in modules["implicore_adder"]
    reset = re.search(r"\.rst\((.*?)\)", modules["implicore"])[1]
    assert re.search(rf"assign \{reset} = (rst \| clear|clear \| rst);", modules["implicore"])


def test_amaranth_components_stay_within_their_parent():
    class Own(Top):
        __module__ = PACKAGE

        def elaborate(self, platform):
            m = Module()
            m.submodules.inner = inner = Module()
            seen = Signal()
            inner.d.sync += seen.eq(self.clear)
            return m

    hierarchy = Hierarchy(Own(()))
    assert hierarchy.instances() == {"implicore": 1}
