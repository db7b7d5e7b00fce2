import pytest

from benches import feed_forward
from benches.in_amaranth import run, smallest_config
from implicore.hw.sincos import SinCosTable
from implicore.sincos import SineTable


@pytest.mark.parametrize("address_bits", range(6, 15))
@pytest.mark.parametrize("output_bits", [4, 8, 12, 16])
def test_every_phase(address_bits, output_bits):
    config = smallest_config(f"w8a{output_bits}t{address_bits}")
    table = SinCosTable(address_bits, output_bits)
    assert table.latency == (2 if address_bits < 12 else 3)
    run(feed_forward.sin_cos_table, table, config)


@pytest.mark.parametrize("output_bits", [8, 12, 16])
@pytest.mark.parametrize("address_bits", range(6, 15))
def test_storage(address_bits, output_bits):
    bits = SineTable(address_bits, output_bits).storage_bits
    quarter_wave = (1 << address_bits - 2) * (output_bits - 1)
    assert bits == quarter_wave if address_bits < 12 else bits < 0.6 * quarter_wave
