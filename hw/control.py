"""The registers of ``implicore.registers`` behind AXI4-Lite."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from implicore.registers import REGISTERS, Register, addresses

from .axi import AXI_LITE


def _layout(register: Register):
    """Return the shape of a register: its fields, an array of values, or a single value."""
    if register.fields:
        return data.StructLayout({name: 1 for name, _ in register.fields})
    return data.ArrayLayout(register.bits, register.count) if register.count > 1 else register.bits


def layout(access: str):
    """Return the layout of all registers with this kind of access, by name."""
    return data.StructLayout({r.name: _layout(r) for r in REGISTERS if r.access == access})


class ControlRegisters(wiring.Component):
    """The register map behind an AXI4-Lite subordinate.

    Undefined words read as 0 and ignore writes. ``wstrb`` is supported. ``awprot`` and
    ``arprot`` are ignored; every response is OKAY.

    Latency: one cycle from request to response. Throughput: one read and one write per two cycles.

    Attributes
    ----------
    Ports of AXI_LITE
    ro : In
        Values of the read-only registers.
    rw : Out
        Values of the read-write registers.
    wo : Out
        Commands, high for one cycle.
    events : In
        Events that set bits of the ``interrupt`` register.
    interrupt : Out(1)
        An enabled event is pending.
    """

    def __init__(self):
        super().__init__(
            {
                **AXI_LITE,
                "ro": In(layout("ro")),
                "rw": Out(layout("rw")),
                "wo": Out(layout("wo")),
                "events": In(layout("w1c")),
                "interrupt": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # A write is accepted when address and data are valid and no response is pending.
        write = Signal()
        read = Signal()
        m.d.comb += [
            write.eq(self.awvalid & self.wvalid & (~self.bvalid | self.bready)),
            self.awready.eq(write),
            self.wready.eq(write),
            read.eq(self.arvalid & (~self.rvalid | self.rready)),
            self.arready.eq(read),
        ]
        with m.If(write):
            m.d.sync += self.bvalid.eq(1)
        with m.Elif(self.bready):
            m.d.sync += self.bvalid.eq(0)
        with m.If(read):
            m.d.sync += self.rvalid.eq(1)
        with m.Elif(self.rready):
            m.d.sync += self.rvalid.eq(0)

        mask = Cat(self.wstrb[byte].replicate(8) for byte in range(4))
        kept = Signal.like(self.rw)
        pending = Signal.like(self.events)
        m.d.comb += self.rw.eq(kept)
        cleared = Signal(len(pending.as_value()))
        m.d.sync += pending.as_value().eq((pending.as_value() & ~cleared) | self.events.as_value())
        m.d.comb += self.interrupt.eq((pending.as_value() & kept.interrupt_enable).any())

        readable = {"ro": self.ro, "rw": kept, "w1c": pending}
        with m.If(read):
            m.d.sync += self.rdata.eq(0)
        for register in REGISTERS:
            first = addresses()[register.name]
            for index in range(register.count):
                for part in range(register.words):
                    word = first // 4 + index * register.words + part
                    at = slice(32 * part, min(32 * (part + 1), register.bits))
                    label = f"{register.name}_{index}_{part}"
                    if register.access in readable:
                        value = readable[register.access][register.name]
                        value = value[index] if register.count > 1 else value
                        if register.fields:
                            value = value.as_value()
                        with m.If(read & (self.araddr[2:] == word)):
                            m.d.sync += self.rdata.eq(value[at])
                    if register.access == "ro":
                        continue
                    chosen = Signal(name=f"write_{label}")
                    m.d.comb += chosen.eq(write & (self.awaddr[2:] == word))
                    if register.access == "rw":
                        bits = value[at]
                        with m.If(chosen):
                            m.d.sync += bits.eq((bits & ~mask) | (self.wdata & mask))
                    elif register.access == "w1c":
                        m.d.comb += cleared.eq(Mux(chosen, self.wdata & mask, 0))
                    else:
                        command = self.wo[register.name].as_value()
                        m.d.comb += command.eq(Mux(chosen, self.wdata & mask, 0))
        return m
