"""The accelerator on a ULX3S board with an LFE5U-85F, connected only by its USB serial port."""

from __future__ import annotations

import os
from dataclasses import dataclass

from amaranth import Cat, ClockDomain, ClockSignal, Const, Instance, Module, ResetSignal, Signal
from amaranth.back import verilog
from amaranth.lib import cdc, wiring
from amaranth.lib.wiring import In, Out

from implicore.accelerator_config import AcceleratorConfig

from .accelerator import Accelerator
from .axi import connect, opposite
from .link import HostLink, link_ports
from .verilog import PREFIX, instance
from .verilog.amaranth_internals import mark_used

DEVICE = "LFE5U-85F-6BG381C"
OSCILLATOR_MHZ = 25.0
BAUD = 3_000_000
"""Maximum rate of the board's FT231X."""

BAUD_ERROR = 0.02
"""Maximum relative error of the bit period; a byte tolerates twice as much."""

PINS = {
    "clk_25mhz": "G2",
    "ftdi_txd": "M1",
    "ftdi_rxd": "L4",
    "btn": "D6",
    "wifi_gpio0": "L2",
    **{f"led[{n}]": s for n, s in enumerate(["B2", "C2", "C1", "D2", "D1", "E2", "E1", "H3"])},
}
"""Sites on board versions 2 and 3, by the names in the board's constraint file."""


@dataclass(frozen=True)
class Pll:
    """Dividers of an EHXPLLL.

    The output frequency is ``oscillator / input * feedback``; the VCO runs ``output`` times faster.
    """

    input: int
    feedback: int
    output: int

    @property
    def mhz(self) -> float:
        """Output frequency."""
        return OSCILLATOR_MHZ / self.input * self.feedback

    @classmethod
    def near(cls, mhz: float) -> Pll:
        """Return the dividers closest to a frequency; ValueError if none is within one percent.

        Limits from Lattice FPGA-TN-02200: phase detector 3.125 MHz or more, VCO 400 to 800 MHz.
        """
        candidates = [
            cls(divider, feedback, output)
            for divider in range(1, int(OSCILLATOR_MHZ / 3.125) + 1)
            for feedback in range(1, 81)
            for output in range(1, 129)
            if 400 <= OSCILLATOR_MHZ / divider * feedback * output <= 800
        ]
        # Of equal frequencies, take the fastest phase detector, then the VCO closest to mid-range.
        best = min(
            candidates, key=lambda p: (abs(p.mhz - mhz), p.input, abs(p.mhz * p.output - 600))
        )
        if abs(best.mhz - mhz) > mhz / 100:
            raise ValueError(
                f"The board's PLL cannot generate {mhz:g} MHz; the closest clock is "
                f"{best.mhz:g} MHz."
            )
        return best


def divisor_of(mhz: float, baud: int) -> int:
    """Return the clock cycles per bit; ValueError if no integer is within ``BAUD_ERROR``."""
    exact = mhz * 1e6 / baud
    divisor = round(exact)
    if abs(divisor - exact) > exact * BAUD_ERROR:
        raise ValueError(
            f"A clock of {mhz:g} MHz cannot be divided to {baud} baud within {BAUD_ERROR:.0%}."
        )
    return divisor


class SerialAccelerator(wiring.Component):
    """An accelerator behind a serial line.

    The accelerator is instantiated by name; ``hw.verilog`` writes its Verilog.

    Parameters
    ----------
    config : AcceleratorConfig
    divisor : int
        Clock cycles of a bit on the line.

    Attributes
    ----------
    rx : In(1)
    tx : Out(1)
    irq : Out(1)
    """

    def __init__(self, config: AcceleratorConfig, divisor: int):
        self.config = config
        self.divisor = divisor
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), "irq": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.link = link = HostLink(self.divisor, self.config.voxels_per_beat)
        m.d.comb += [link.rx.eq(self.rx), self.tx.eq(link.tx)]
        accelerator = Accelerator(self.config)
        mark_used(accelerator)  # only its ports are needed
        m.submodules.accelerator = instance(PREFIX, accelerator, reset=ResetSignal() | link.reset)
        m.d.comb += connect(link, accelerator, link_ports(self.config.voxels_per_beat), opposite)
        m.d.comb += self.irq.eq(accelerator.irq)
        return m


class Ulx3s(wiring.Component):
    """The top module of the board.

    The PWR button resets the board. The LEDs show, from the lowest: clock locked, interrupt
    pending, host sending, board sending.

    Parameters
    ----------
    config : AcceleratorConfig
    pll : Pll
    baud : int

    Attributes
    ----------
    clk_25mhz, ftdi_txd, btn : In(1)
    ftdi_rxd, wifi_gpio0 : Out(1)
    led : Out(8)
    """

    def __init__(self, config: AcceleratorConfig, pll: Pll, baud: int = BAUD):
        self.config = config
        self.pll = pll
        self.baud = baud
        _ = self.divisor  # checks the rate
        super().__init__(
            {
                "clk_25mhz": In(1),
                "ftdi_txd": In(1),  # named from the FTDI chip's side
                "ftdi_rxd": Out(1),
                "btn": In(1),
                "wifi_gpio0": Out(1),
                "led": Out(8),
            }
        )

    @property
    def divisor(self) -> int:
        """Clock cycles of a bit on the line."""
        return divisor_of(self.pll.mhz, self.baud)

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = ClockDomain()
        locked = Signal()
        m.submodules.pll = Instance(
            "EHXPLLL",
            a_FREQUENCY_PIN_CLKI=f"{OSCILLATOR_MHZ:g}",
            a_FREQUENCY_PIN_CLKOP=f"{self.pll.mhz:g}",
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
            p_CLKI_DIV=self.pll.input,
            p_CLKFB_DIV=self.pll.feedback,
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOP_DIV=self.pll.output,
            p_CLKOP_CPHASE=(self.pll.output - 1) // 2,  # no phase shift, as ecppll computes it
            p_CLKOP_FPHASE=0,
            p_FEEDBK_PATH="CLKOP",
            i_CLKI=self.clk_25mhz,
            i_CLKFB=ClockSignal(),
            i_RST=Const(0),
            i_STDBY=Const(0),
            i_PHASESEL0=Const(0),
            i_PHASESEL1=Const(0),
            i_PHASEDIR=Const(1),
            i_PHASESTEP=Const(1),
            i_PHASELOADREG=Const(1),
            i_PLLWAKESYNC=Const(0),
            i_ENCLKOP=Const(0),
            o_CLKOP=ClockSignal(),
            o_LOCK=locked,
        )
        # The button is low while pressed.
        m.submodules.reset = cdc.ResetSynchronizer(~locked | ~self.btn)
        m.submodules.serial = serial = SerialAccelerator(self.config, self.divisor)
        m.d.comb += [
            serial.rx.eq(self.ftdi_txd),
            self.ftdi_rxd.eq(serial.tx),
            self.wifi_gpio0.eq(1),  # otherwise the board's ESP32 takes control of the FPGA
            self.led.eq(Cat(~ResetSignal(), serial.irq, ~serial.rx, ~serial.tx)),
        ]
        return m


def constraints() -> str:
    """Return the pin constraints in Lattice's LPF format."""
    lines = ["BLOCK RESETPATHS;", "BLOCK ASYNCPATHS;"]
    lines += [f'FREQUENCY PORT "clk_25mhz" {OSCILLATOR_MHZ:g} MHZ;']
    for port, site in PINS.items():
        pull = " PULLMODE=UP" if port in ("ftdi_txd", "btn") else ""
        lines += [f'LOCATE COMP "{port}" SITE "{site}";']
        lines += [f'IOBUF PORT "{port}" IO_TYPE=LVCMOS33{pull};']
    return "\n".join(lines) + "\n"


def convert(component: wiring.Component, name: str) -> str:
    """Return the Verilog of a component of this module, without the accelerator itself."""
    os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")
    return verilog.convert(component, name=name, emit_src=False, strip_internal_attrs=True)
