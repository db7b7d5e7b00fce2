"""AXI4-Lite and AXI4-Stream ports.

A set of ports is a dictionary of flat members. Amaranth joins the names of nested members with two
underscores, but tools recognize an AXI interface only by names such as ``s_axi_awaddr``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from amaranth.lib.wiring import Component, In, Member, Out

from implicore.registers import ADDRESS_BITS

Ports = Mapping[str, Member]

AXI_LITE: Ports = {
    "awaddr": In(ADDRESS_BITS),
    "awprot": In(3),
    "awvalid": In(1),
    "awready": Out(1),
    "wdata": In(32),
    "wstrb": In(4),
    "wvalid": In(1),
    "wready": Out(1),
    "bresp": Out(2),
    "bvalid": Out(1),
    "bready": In(1),
    "araddr": In(ADDRESS_BITS),
    "arprot": In(3),
    "arvalid": In(1),
    "arready": Out(1),
    "rdata": Out(32),
    "rresp": Out(2),
    "rvalid": Out(1),
    "rready": In(1),
}
"""Ports of an AXI4-Lite subordinate with the accelerator's address width, without a prefix."""


def axi_lite(prefix: str) -> Ports:
    """Return the ports of an AXI4-Lite subordinate, each name beginning with ``prefix_``."""
    return {f"{prefix}_{name}": port for name, port in AXI_LITE.items()}


def axi_stream_sink(prefix: str, bits: int, *, keep: bool = False) -> Ports:
    """Return the ports of an AXI4-Stream receiver with data of ``bits`` bits, and ``tkeep``."""
    return {
        f"{prefix}_tdata": In(bits),
        f"{prefix}_tvalid": In(1),
        f"{prefix}_tready": Out(1),
        f"{prefix}_tlast": In(1),
        **({f"{prefix}_tkeep": In(bits // 8)} if keep else {}),
    }


def axi_stream_source(prefix: str, bits: int, *, keep: bool = False) -> Ports:
    """Return the ports of an AXI4-Stream transmitter with data of ``bits`` bits, and ``tkeep``."""
    return {name: port.flip() for name, port in axi_stream_sink(prefix, bits, keep=keep).items()}


def opposite(name: str) -> str:
    """Return the name of the port that ``name`` connects to: ``s_axi_*`` for ``m_axi_*``."""
    return {"m": "s", "s": "m"}[name[0]] + name[1:]


def peer(ports: Ports) -> Ports:
    """Return the ports that connect to these: opposite names and directions."""
    return {opposite(name): port.flip() for name, port in ports.items()}


def connect(
    component: Component, other: Component, ports: Ports, rename: Callable[[str], str] = str
) -> list:
    """Return the assignments that connect ``ports`` of a component to another component's ports.

    Parameters
    ----------
    component, other : Component
    ports : Ports
        Ports of ``component``.
    rename : callable
        Maps the name of a port to the name that it has in ``other``.
    """
    pairs = [(p, getattr(component, n), getattr(other, rename(n))) for n, p in ports.items()]
    return [a.eq(b) if port.flow is In else b.eq(a) for port, a, b in pairs]
