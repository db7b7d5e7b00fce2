from pathlib import Path

from implicore.registers import (
    ADDRESS_BITS,
    ERROR_MEANINGS,
    REGISTERS,
    VERSION,
    Error,
    addresses,
    markdown,
)

ROOT = Path(__file__).resolve().parent.parent


def test_addresses_are_unchanged_since_version_1():
    """Drivers rely on them: a register that moves needs another version."""
    single = range(0x00, 0x24, 4)  # identity to interrupt_enable
    grid = (0x24, 0x30, 0x48)  # 3 words, 3 x 2 words, 9 x 2 words
    counters = range(0x90, 0xC0, 8)  # six of two words
    memories = (0xC0, 0xC4)
    assert VERSION == 1
    assert list(addresses().values()) == [*single, *grid, *counters, *memories]
    last = REGISTERS[-1]
    assert (last.count, last.words) == (1, 1) and 1 << ADDRESS_BITS >= 0xC8


def test_every_error_has_a_meaning():
    assert set(ERROR_MEANINGS) == set(Error)


def test_the_document_holds_the_map():
    assert markdown() in (ROOT / "docs" / "hardware.md").read_text(encoding="utf-8")
