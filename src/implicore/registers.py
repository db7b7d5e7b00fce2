"""The register map: one definition for the hardware, the C header, the documents and the benches.

All registers are 32 bits wide. A quantity wider than that takes two, the lower half first.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

IDENTITY = 0x494D5043
VERSION = 1


class Error(IntEnum):
    """Why the accelerator refused: the values of the ``error`` register."""

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


ERROR_MEANINGS = {
    Error.NONE: "no error",
    Error.NOT_A_PROGRAM: "the stream does not begin like a program",
    Error.WRONG_VERSION: "the stream's version is not this hardware's",
    Error.WRONG_COLUMNS: "the stream was made for another number of columns",
    Error.WRONG_FORMATS: "activation, table or output bits differ from the hardware's",
    Error.TOO_MANY_FREQUENCIES: "0 frequencies, or more than the hardware's",
    Error.TOO_WIDE: "0 neurons a layer, or more than the hardware's",
    Error.TOO_DEEP: "0 layers, or more than the hardware's",
    Error.TOO_MANY_WEIGHTS: "0 weights a column, or more than the hardware's",
    Error.TOO_MANY_NEURONS: "0 neurons, or more than the hardware's",
    Error.CUT_SHORT: "the stream ended too early",
    Error.TOO_LONG: "the stream did not end with its checksum",
    Error.WRONG_CRC: "the stream's checksum does not match",
    Error.NO_PROGRAM: "a job was started without a good program",
    Error.BUSY: "a job was started during another one, or while a program was loading",
}


@dataclass(frozen=True)
class Register:
    """A register, or several of the same kind in a row.

    Parameters
    ----------
    name : str
    access : str
        ``ro`` read only, ``rw`` read and write, ``wo`` write only, reading as 0, ``w1c`` read,
        and write 1 to clear.
    meaning : str
    count : int
        Registers of this kind.
    bits : int
        Of each, taking two words each if more than 32.
    fields : tuple of (str, str)
        Name and meaning of single bits from bit 0 on.
    """

    name: str
    access: str
    meaning: str
    count: int = 1
    bits: int = 32
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def words(self) -> int:
        """Words of each."""
        return -(-self.bits // 32)


REGISTERS = (
    Register("identity", "ro", f"0x{IDENTITY:08x}, the letters IMPC"),
    Register("version", "ro", "of the registers"),
    Register("configuration", "ro", "digest of the configuration, as in the sidecar"),
    Register("array", "ro", "rows in the lower, columns in the upper half"),
    Register(
        "control",
        "wo",
        "commands",
        fields=(
            ("start_grid", "decode the grid that the registers describe"),
            ("start_points", "decode the points of the stream up to its `tlast`"),
            ("abort", "drop the job and any program that is still loading"),
        ),
    ),
    Register(
        "status",
        "ro",
        "state",
        fields=(
            ("loaded", "a good program is present"),
            ("loading", "a program is arriving"),
            ("running", "a job is at work"),
        ),
    ),
    Register("error", "ro", "the last refusal's cause; 0 after a good program or start"),
    Register(
        "interrupt",
        "w1c",
        "what has happened",
        fields=(
            ("done", "a job's last voxel was delivered"),
            ("loaded", "a good program has arrived"),
            ("error", "something was refused"),
        ),
    ),
    Register("interrupt_enable", "rw", "which of them raise the interrupt", bits=3),
    Register("grid_size_minus_one", "rw", "samples of each axis less one", count=3, bits=16),
    Register("grid_origin", "rw", "x, y, z of the first voxel, 38 fraction bits", 3, 40),
    Register(
        "grid_increments", "rw", "increments of x, y, z to the next voxel, line and plane", 9, 40
    ),
    Register("cycles", "ro", "from the first point accepted to the last voxel delivered", 1, 48),
    Register("active_cycles", "ro", "cycles in which the array was given operands", 1, 48),
    Register("input_stall", "ro", "cycles in which a point was asked for in vain", 1, 48),
    Register("output_stall", "ro", "cycles in which a voxel was offered in vain", 1, 48),
    Register("useful_macs", "ro", "multiply-accumulates that the delivered voxels needed", 1, 56),
    Register("mac_slots", "ro", "`active_cycles` x rows x columns", 1, 56),
)


WORDS = {register.name: register.words for register in REGISTERS}
"""Words of each register, by its name."""

COUNTERS = ("cycles", "active_cycles", "input_stall", "output_stall", "useful_macs", "mac_slots")
"""The registers that tell what a job took."""


def masks(name: str) -> dict[str, int]:
    """The fields of a register as values of it: one bit each."""
    (register,) = (register for register in REGISTERS if register.name == name)
    return {field: 1 << bit for bit, (field, _) in enumerate(register.fields)}


def addresses() -> dict[str, int]:
    """Byte address of each register, of the first one where there are several."""
    found, address = {}, 0
    for register in REGISTERS:
        found[register.name] = address
        address += 4 * register.words * register.count
    return found


ADDRESS_BITS = 8
"""Of a byte address; covers the whole map."""


def markdown() -> str:
    """The map as a table."""
    lines = ["| Address | Name | Access | Bits | Meaning |", "|---|---|---|---|---|"]
    for register in REGISTERS:
        first = addresses()[register.name]
        size = 4 * register.words * register.count
        where = f"0x{first:02x}" if size == 4 else f"0x{first:02x}-0x{first + size - 4:02x}"
        several = f"{register.count} x " if register.count > 1 else ""
        meaning = register.meaning
        for bit, (name, text) in enumerate(register.fields):
            meaning += f"; bit {bit} `{name}`: {text}"
        bits = len(register.fields) or register.bits
        lines.append(
            f"| {where} | `{register.name}` | {register.access} | {several}{bits} | {meaning} |"
        )
    lines += ["", "| Error | Name | Meaning |", "|---|---|---|"]
    lines += [f"| {e.value} | `{e.name}` | {ERROR_MEANINGS[e]} |" for e in Error]
    return "\n".join(lines) + "\n"


def c_header() -> str:
    """The map as a C header."""
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
