"""The register map: one definition for the hardware, the C header, the documents and the tests.

Every register is 32 bits wide. A wider quantity takes two words, the lower one first. An access
that the map does not allow is answered with SLVERR and has no effect: one to an address without a
register, or a write to a read-only register.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from .errors import BadInput

IDENTITY = 0x494D5043
VERSION = 1


class Response(IntEnum):
    """Responses of the register port, in the encoding of AXI4-Lite."""

    OKAY = 0
    SLVERR = 2


class Refused(BadInput):
    """The accelerator answered an access to a register with SLVERR.

    Parameters
    ----------
    address : int
    write : bool
    """

    def __init__(self, address: int, *, write: bool = False):
        found = "register that can be written" if write else "register"
        super().__init__(f"The accelerator has no {found} at address {address:#04x}.")


class Error(IntEnum):
    """Values of the ``error`` register: why the accelerator rejected a program or a command."""

    NONE = 0
    NOT_A_PROGRAM = 1
    WRONG_VERSION = 2
    WRONG_COLUMNS = 3
    WRONG_FORMATS = 4
    TOO_MANY_FREQUENCIES = 5
    TOO_WIDE = 6
    TOO_DEEP = 7
    TOO_MANY_WEIGHTS = 8
    TOO_MANY_NEURONS = 9
    CUT_SHORT = 10
    TOO_LONG = 11
    WRONG_CRC = 12
    NO_PROGRAM = 13
    BUSY = 14
    TOO_MANY_OUTPUTS = 15


ACCESS_MEANINGS = {
    "ro": "read-only: a write is answered with SLVERR and has no effect",
    "rw": "read and write",
    "wo": "write-only: a read returns 0",
    "w1c": "readable; write 1 to clear",
}
"""What each kind of access allows."""

ERROR_MEANINGS = {
    Error.NONE: "no error",
    Error.NOT_A_PROGRAM: "the stream does not start with the magic number of a program",
    Error.WRONG_VERSION: "the hardware does not support the version of the stream",
    Error.WRONG_COLUMNS: "the stream is for an array with another number of columns",
    Error.WRONG_FORMATS: "activation, table address or output bits differ from the hardware",
    Error.TOO_MANY_FREQUENCIES: "no frequencies, or more than the hardware holds",
    Error.TOO_WIDE: "no neurons in a layer, or more than the hardware holds",
    Error.TOO_DEEP: "no layers, or more than the hardware holds",
    Error.TOO_MANY_WEIGHTS: "no weights in a column, or more than the hardware holds",
    Error.TOO_MANY_NEURONS: "no neurons, or more than the hardware holds",
    Error.CUT_SHORT: "the stream ended before the checksum",
    Error.TOO_LONG: "the stream did not end after the checksum",
    Error.WRONG_CRC: "the checksum of the stream is wrong",
    Error.NO_PROGRAM: "a job was started while no valid program was loaded",
    Error.BUSY: "a job was started during another job or while a program was loading",
    Error.TOO_MANY_OUTPUTS: "more voxels of a point than the hardware holds",
}


@dataclass(frozen=True)
class Register:
    """A register, or several registers of the same kind at consecutive addresses.

    Parameters
    ----------
    name : str
    access : str
        One of ``ACCESS_MEANINGS``.
    meaning : str
        Meaning of the value, as a phrase.
    count : int
        Number of registers of this kind.
    bits : int
        Width of each register. More than 32 bits take two words.
    fields : tuple of (str, str)
        Name and meaning of individual bits, starting at bit 0.
    """

    name: str
    access: str
    meaning: str
    count: int = 1
    bits: int = 32
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def words(self) -> int:
        """Words of one register."""
        return -(-self.bits // 32)

    @property
    def writable(self) -> bool:
        """Whether a write is answered with OKAY; a read always is."""
        return self.access != "ro"


REGISTERS = (
    Register("identity", "ro", f"0x{IDENTITY:08x}, the letters IMPC"),
    Register("version", "ro", "version of the register map"),
    Register("configuration", "ro", "digest of the configuration, also in the sidecar"),
    Register("array", "ro", "rows in the lower half, columns in the upper half"),
    Register(
        "control",
        "wo",
        "commands",
        fields=(
            ("start_grid", "decode the grid that the registers describe"),
            ("start_points", "decode the points of the stream up to its `tlast`"),
            ("abort", "abort the job and the loading of a program"),
        ),
    ),
    Register(
        "status",
        "ro",
        "state",
        fields=(
            ("loaded", "a valid program is loaded"),
            ("loading", "a program is being loaded"),
            ("running", "a job is running"),
            ("held", "a voxel beat of an aborted job is offered and not taken"),
        ),
    ),
    Register("error", "ro", "cause of the last error; 0 after a valid program or start"),
    Register(
        "interrupt",
        "w1c",
        "pending events",
        fields=(
            ("done", "the last voxel of a job was delivered"),
            ("loaded", "a valid program was loaded"),
            ("error", "a program or a command was rejected"),
            ("memory_corrected", "a word of the program was corrected as it was read"),
            ("memory_error", "a word of the program had an error that could not be corrected"),
        ),
    ),
    Register("interrupt_enable", "rw", "events that raise the interrupt", bits=5),
    Register("grid_size_minus_one", "rw", "samples of each axis minus one", count=3, bits=16),
    Register("grid_origin", "rw", "x, y, z of the first voxel, with 38 fraction bits", 3, 40),
    Register(
        "grid_increments", "rw", "increments of x, y, z to the next voxel, line and plane", 9, 40
    ),
    Register(
        "cycles", "ro", "cycles from the first accepted point to the last delivered voxel", 1, 48
    ),
    Register("active_cycles", "ro", "cycles in which a step was issued to the array", 1, 48),
    Register(
        "input_stall", "ro", "cycles in which the mapper was ready but no point was valid", 1, 48
    ),
    Register("output_stall", "ro", "cycles in which a voxel was valid but not accepted", 1, 48),
    Register("useful_macs", "ro", "multiply-accumulates that the delivered voxels took", 1, 56),
    Register("mac_slots", "ro", "`active_cycles` x rows x columns", 1, 56),
    Register(
        "memory_corrected", "ro", "words of the program that were corrected, at most 65535", bits=16
    ),
    Register(
        "memory_errors", "ro", "words of the program with any other error, at most 65535", bits=16
    ),
)


WORDS = {register.name: register.words for register in REGISTERS}
"""Words of each register, by its name."""

COUNTERS = (
    *("cycles", "active_cycles", "input_stall", "output_stall", "useful_macs", "mac_slots"),
    *("memory_corrected", "memory_errors"),
)
"""The counters of a job."""


def masks(name: str) -> dict[str, int]:
    """Return the mask of each field of a register, by the field's name."""
    (register,) = (register for register in REGISTERS if register.name == name)
    return {field: 1 << bit for bit, (field, _) in enumerate(register.fields)}


def addresses() -> dict[str, int]:
    """Return the byte address of each register, or of the first one if there are several."""
    result, address = {}, 0
    for register in REGISTERS:
        result[register.name] = address
        address += 4 * register.words * register.count
    return result


ADDRESS_BITS = 8
"""Width of a byte address, enough for the whole map."""


def markdown() -> str:
    """Return the map as Markdown tables."""
    lines = ["| Address | Name | Access | Bits | Meaning |", "|---|---|---|---|---|"]
    for register in REGISTERS:
        first = addresses()[register.name]
        size = 4 * register.words * register.count
        span = f"0x{first:02x}" if size == 4 else f"0x{first:02x}-0x{first + size - 4:02x}"
        times = f"{register.count} x " if register.count > 1 else ""
        meaning = register.meaning
        for bit, (name, text) in enumerate(register.fields):
            meaning += f"; bit {bit} `{name}`: {text}"
        bits = len(register.fields) or register.bits
        lines.append(
            f"| {span} | `{register.name}` | {register.access} | {times}{bits} | {meaning} |"
        )
    lines += ["", "| Access | Meaning |", "|---|---|"]
    lines += [f"| {access} | {meaning} |" for access, meaning in ACCESS_MEANINGS.items()]
    lines += ["", "Any access to another address is answered with SLVERR and has no effect."]
    lines += ["", "| Error | Name | Meaning |", "|---|---|---|"]
    lines += [f"| {e.value} | `{e.name}` | {ERROR_MEANINGS[e]} |" for e in Error]
    return "\n".join(lines) + "\n"


def c_header() -> str:
    """Return the map as a C header."""
    lines = ["#ifndef IMPLICORE_H", "#define IMPLICORE_H", ""]
    lines += [f"#define IMPLICORE_IDENTITY_VALUE 0x{IDENTITY:08x}u"]
    lines += [f"#define IMPLICORE_VERSION_VALUE {VERSION}u", ""]
    for register in REGISTERS:
        name = f"IMPLICORE_{register.name.upper()}"
        lines.append(f"/* {register.meaning} ({register.access}) */")
        lines.append(f"#define {name} 0x{addresses()[register.name]:02x}u")
        if register.count > 1:
            lines.append(f"#define {name}_COUNT {register.count}u")
        if register.words > 1:
            lines.append(f"#define {name}_WORDS {register.words}u")
        for bit, (field, text) in enumerate(register.fields):
            lines.append(f"#define {name}_{field.upper()} 0x{1 << bit:x}u /* {text} */")
    lines += ["", "/* Values of the error register. */"]
    lines += [
        f"#define IMPLICORE_ERROR_{e.name} {e.value}u /* {ERROR_MEANINGS[e]} */" for e in Error
    ]
    return "\n".join([*lines, "", "#endif", ""])
