"""The bench of the control registers, by the AXI4-Lite manager of cocotbext-axi."""

from itertools import count

import cocotb
from cocotbext.axi import AxiLiteBus, AxiLiteMaster

from implicore.hw.control import layout
from implicore.registers import ADDRESS_BITS, REGISTERS, addresses

from .ports import Ports


def _map_words() -> dict[int, tuple[str, int, int]]:
    """Return access, lowest bit in its layout, and width of each word of the register map."""
    found = {}
    for register in REGISTERS:
        field = layout(register.access)[register.name]
        for number in range(register.count * register.words):
            index, part = divmod(number, register.words)
            low = field.offset + index * register.bits + 32 * part
            width = min(32, register.bits - 32 * part, field.width)
            found[addresses()[register.name] // 4 + number] = register.access, low, width
    return found


async def control_registers(ports: Ports):
    """Reads and writes of any bytes, while values and events change."""
    rng, dut = ports.rng, ports.dut
    master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "control_registers_"), dut.clk, dut.rst)
    write, read = master.write_if, master.read_if
    for part in (write, read):
        part.log.setLevel("WARNING")
    for channel in (
        *(write.aw_channel, write.w_channel, write.b_channel),
        *(read.ar_channel, read.r_channel),
    ):
        channel.set_pause_generator(rng.random() < 0.3 for _ in count())

    events_and_commands = [addresses()[r.name] for r in REGISTERS if r.access in ("w1c", "wo")]

    def place():
        anywhere = rng.randrange(1 << ADDRESS_BITS)
        address = rng.choice([anywhere, *events_and_commands]) | rng.choice((0, 0, 1, 2))
        return address, rng.randint(1, min(8, (1 << ADDRESS_BITS) - address))

    async def writes():
        for _ in range(200):
            address, length = place()
            await master.write(address, rng.randbytes(length))

    async def reads():
        for _ in range(200):
            address, length = place()
            got.append((address, bytes((await master.read(address, length)).data)))

    def high(*names):
        return all(ports.get(name) for name in names)

    def strobed():
        strobe = ports.get("wstrb")
        return sum(0xFF << 8 * byte for byte in range(4) if strobe >> byte & 1)

    words = _map_words()
    enable = layout("rw")["interrupt_enable"]
    values = {"ro": 0, "rw": 0, "w1c": 0}
    got, due = [], []  # bytes that the manager read; words that were read, with their addresses
    responding = {"b": False, "r": False}
    tasks = [cocotb.start_soon(task) for task in (writes(), reads())]
    while not all(task.done() for task in tasks):
        if rng.random() < 0.3:
            values["ro"] = rng.getrandbits(ports.width("ro"))
        events = rng.getrandbits(3) if rng.random() < 0.5 else 0
        ports.set(ro=values["ro"], events=events)
        if high("wvalid"):  # the manager makes the other bytes 0, which would hide them
            ports.set(wdata=ports.get("wdata") | 0xFFFFFFFF & ~strobed())
        await ports.settle()

        assert ports.get("rw") == values["rw"]
        enabled = values["rw"] >> enable.offset & ((1 << enable.width) - 1)
        assert ports.get("interrupt") == bool(values["w1c"] & enabled)
        for channel, responds in responding.items():
            assert high(f"{channel}valid") == responds
            assert not ports.get(f"{channel}resp")
        if responding["r"]:
            assert ports.get("rdata") == due[-1][1]

        # No request is taken while a response waits; address and data are taken together.
        waits = {channel: responding[channel] and not high(f"{channel}ready") for channel in "br"}
        writing = high("awvalid", "wvalid") and not waits["b"]
        reading = high("arvalid") and not waits["r"]
        assert high("awready") == high("wready") == writing
        assert high("arready") == reading
        responding = {"b": waits["b"] or writing, "r": waits["r"] or reading}
        if reading:
            word = ports.get("araddr") >> 2
            access, low, width = words.get(word, ("wo", 0, 0))
            due.append((4 * word, values.get(access, 0) >> low & ((1 << width) - 1)))

        commands = cleared = 0
        if writing:
            access, low, width = words.get(ports.get("awaddr") >> 2, ("ro", 0, 0))
            mask = strobed() & ((1 << width) - 1)
            data = ports.get("wdata") & mask
            if access == "rw":
                values["rw"] = values["rw"] & ~(mask << low) | data << low
            elif access == "w1c":
                cleared = data << low
            elif access == "wo":
                commands = data << low
        assert ports.get("wo") == commands
        values["w1c"] = values["w1c"] & ~cleared | events
        await ports.tick()

    read_bytes = iter(
        [(address + n, word >> 8 * n & 0xFF) for address, word in due for n in range(4)]
    )
    for address, data in got:
        for number, byte in enumerate(data):
            assert next(pair for pair in read_bytes if pair[0] == address + number)[1] == byte
