from pathlib import Path

from implicore.registers import ADDRESS_BITS, ERROR_MEANINGS, REGISTERS, Error, addresses, markdown

ROOT = Path(__file__).resolve().parent.parent


def test_addresses_do_not_overlap():
    end = 0
    for register in REGISTERS:
        assert addresses()[register.name] == end
        assert register.access in ("ro", "rw", "wo", "w1c")
        end += 4 * register.words * register.count
    assert end <= 1 << ADDRESS_BITS


def test_every_error_has_a_meaning():
    assert set(ERROR_MEANINGS) == set(Error)


def test_the_document_holds_the_map():
    assert markdown() in (ROOT / "docs" / "hardware.md").read_text(encoding="utf-8")
