"""The registers of ``implicore.registers`` behind AXI4-Lite."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from implicore.registers import REGISTERS, Register, Response, addresses

from .axi import AXI_LITE


def _layout(register: Register):
    """Return the shape of a register: its fields, an array of values, or a single value."""
    if register.fields:
        return data.StructLayout({name: 1 for name, _ in register.fields})
    return data.ArrayLayout(register.bits, register.count) if register.count > 1 else register.bits


def layout(access: str):
    """Return the layout of all registers with this kind of access, by name."""
    return data.StructLayout({r.name: _layout(r) for r in REGISTERS if r.access == access})


def _request(m: Module, channel: str, valid, ready, payload, execute):
    """Register the payload of a request channel until it is executed.

    Returns whether the register is full, and the registered payload.
    """
    full = Signal(name=f"{channel}_full")
    request = Signal(len(payload), name=f"{channel}_request", reset_less=True)
    m.d.comb += ready.eq(~full)
    with m.If(valid & ready):
        m.d.sync += [full.eq(1), request.eq(payload)]
    with m.Elif(execute):
        m.d.sync += full.eq(0)
    return full, request


class ControlRegisters(wiring.Component):
    """The register map behind an AXI4-Lite subordinate.

    Each request channel has a register, so every output comes from registers alone. An access is
    executed when its request is registered and no response is pending. ``implicore.registers``
    says which accesses are answered with SLVERR. ``wstrb`` is supported. ``awprot`` and ``arprot``
    are ignored.

    Latency: two cycles from request to response. Throughput: one read and one write per two cycles.

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
        write = Signal()
        read = Signal()
        address_full, write_word = _request(
            m, "aw", self.awvalid, self.awready, self.awaddr[2:], write
        )
        data_full, data_and_strobes = _request(
            m, "w", self.wvalid, self.wready, Cat(self.wdata, self.wstrb), write
        )
        read_full, read_word = _request(m, "ar", self.arvalid, self.arready, self.araddr[2:], read)
        wdata, wstrb = data_and_strobes[:32], data_and_strobes[32:]
        m.d.comb += [
            write.eq(address_full & data_full & ~self.bvalid),
            read.eq(read_full & ~self.rvalid),
        ]
        with m.If(write):
            m.d.sync += [self.bvalid.eq(1), self.bresp.eq(Response.SLVERR)]
        with m.Elif(self.bready):
            m.d.sync += self.bvalid.eq(0)
        with m.If(read):
            m.d.sync += [self.rvalid.eq(1), self.rresp.eq(Response.SLVERR), self.rdata.eq(0)]
        with m.Elif(self.rready):
            m.d.sync += self.rvalid.eq(0)

        mask = Cat(wstrb[byte].replicate(8) for byte in range(4))
        kept = Signal.like(self.rw)
        pending = Signal.like(self.events)
        m.d.comb += self.rw.eq(kept)
        cleared = Signal(len(pending.as_value()))
        m.d.sync += pending.as_value().eq((pending.as_value() & ~cleared) | self.events.as_value())
        m.d.comb += self.interrupt.eq((pending.as_value() & kept.interrupt_enable).any())

        readable = {"ro": self.ro, "rw": kept, "w1c": pending}
        for register in REGISTERS:
            first = addresses()[register.name]
            for index in range(register.count):
                for part in range(register.words):
                    word = first // 4 + index * register.words + part
                    at = slice(32 * part, min(32 * (part + 1), register.bits))
                    label = f"{register.name}_{index}_{part}"
                    here = read & (read_word == word)
                    with m.If(here):
                        m.d.sync += self.rresp.eq(Response.OKAY)
                    if register.access in readable:
                        value = readable[register.access][register.name]
                        value = value[index] if register.count > 1 else value
                        if register.fields:
                            value = value.as_value()
                        with m.If(here):
                            m.d.sync += self.rdata.eq(value[at])
                    if not register.writable:
                        continue
                    chosen = Signal(name=f"write_{label}")
                    m.d.comb += chosen.eq(write & (write_word == word))
                    with m.If(chosen):
                        m.d.sync += self.bresp.eq(Response.OKAY)
                    if register.access == "rw":
                        bits = value[at]
                        with m.If(chosen):
                            m.d.sync += bits.eq((bits & ~mask) | (wdata & mask))
                    elif register.access == "w1c":
                        m.d.comb += cleared.eq(Mux(chosen, wdata & mask, 0))
                    else:
                        command = self.wo[register.name].as_value()
                        m.d.comb += command.eq(Mux(chosen, wdata & mask, 0))
        return m
