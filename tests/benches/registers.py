"""The bench of the control registers, by the AXI4-Lite manager of cocotbext-axi."""

from itertools import count

import cocotb
from cocotbext.axi import AxiLiteBus, AxiLiteMaster

from implicore.hw.control import layout
from implicore.registers import ADDRESS_BITS, REGISTERS, Response, addresses

from .ports import Ports

PAYLOADS = {"aw": ("awaddr",), "w": ("wdata", "wstrb"), "ar": ("araddr",)}
"""The payload of each request channel."""


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
            response = await master.read(address, length)
            got.append((address, bytes(response.data), int(response.resp)))

    def high(*names):
        return all(ports.get(name) for name in names)

    def strobed(strobe):
        return sum(0xFF << 8 * byte for byte in range(4) if strobe >> byte & 1)

    words = _map_words()
    enable = layout("rw")["interrupt_enable"]
    values = {"ro": 0, "rw": 0, "w1c": 0}
    # What the manager read; the words that were read, each with address and response.
    got, due = [], []
    requests = dict.fromkeys(PAYLOADS)  # in the registers of the channels
    responses = {"b": None, "r": None}
    tasks = [cocotb.start_soon(task) for task in (writes(), reads())]
    while not all(task.done() for task in tasks):
        if rng.random() < 0.3:
            values["ro"] = rng.getrandbits(ports.width("ro"))
        events = rng.getrandbits(ports.width("events")) if rng.random() < 0.5 else 0
        ports.set(ro=values["ro"], events=events)
        if high("wvalid"):  # the manager makes the other bytes 0, which would hide them
            ports.set(wdata=ports.get("wdata") | 0xFFFFFFFF & ~strobed(ports.get("wstrb")))
        await ports.settle()

        assert ports.get("rw") == values["rw"]
        enabled = values["rw"] >> enable.offset & ((1 << enable.width) - 1)
        assert ports.get("interrupt") == bool(values["w1c"] & enabled)
        for channel, response in responses.items():
            assert high(f"{channel}valid") == (response is not None)
            if response:
                assert ports.get(f"{channel}resp") == response[0]
        if responses["r"]:
            assert ports.get("rdata") == responses["r"][1]

        # Each channel takes a request while its register is empty. A registered request is executed
        # while no response waits; a write needs address and data.
        for channel in requests:
            assert high(f"{channel}ready") == (requests[channel] is None)
        writing = None not in (requests["aw"], requests["w"]) and not responses["b"]
        reading = requests["ar"] is not None and not responses["r"]
        waits = {channel: responses[channel] for channel in "br" if not high(f"{channel}ready")}
        taken = {
            channel: tuple(ports.get(name) for name in names)
            for channel, names in PAYLOADS.items()
            if high(f"{channel}valid", f"{channel}ready")
        }
        responses = {"b": waits.get("b"), "r": waits.get("r")}
        if reading:
            (address,) = requests["ar"]
            access, low, width = words.get(address >> 2, (None, 0, 0))
            value = values.get(access, 0) >> low & ((1 << width) - 1)
            responses["r"] = Response.OKAY if access else Response.SLVERR, value
            due.append((address & ~3, *responses["r"]))

        commands = cleared = 0
        if writing:
            (address,), (data, strobe) = requests["aw"], requests["w"]
            access, low, width = words.get(address >> 2, ("ro", 0, 0))
            responses["b"] = (Response.SLVERR if access == "ro" else Response.OKAY,)
            mask = strobed(strobe) & ((1 << width) - 1)
            data &= mask
            if access == "rw":
                values["rw"] = values["rw"] & ~(mask << low) | data << low
            elif access == "w1c":
                cleared = data << low
            elif access == "wo":
                commands = data << low
        assert ports.get("wo") == commands
        values["w1c"] = values["w1c"] & ~cleared | events
        for executed, channels in ((writing, ("aw", "w")), (reading, ("ar",))):
            requests |= dict.fromkeys(channels if executed else ())
        requests |= taken
        await ports.tick()

    # A read of several words has the worst of their responses.
    read_words = iter(due)
    for address, data, response in got:
        count_words = (address + len(data) - 1) // 4 - address // 4 + 1
        read = [next(read_words) for _ in range(count_words)]
        first = address & ~3
        assert [at for at, _, _ in read] == [first + 4 * number for number in range(count_words)]
        octets = b"".join(value.to_bytes(4, "little") for _, _, value in read)
        assert data == octets[address - first :][: len(data)]
        assert response == max(worst for _, worst, _ in read)
