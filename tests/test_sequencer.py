import pytest

from benches import control
from benches.in_amaranth import run
from implicore.accelerator_config import AcceleratorConfig
from implicore.formats import Formats
from implicore.hw.sequencer import Sequencer
from implicore.network_shape import NetworkShape


@pytest.mark.parametrize("columns", [1, 3, 8])
@pytest.mark.parametrize(
    "shape",
    [
        NetworkShape(3, 5, 1),
        NetworkShape(1, 1, 2),
        NetworkShape(2, 7, 4, (3,)),
        NetworkShape(4, 3, 3, (2, 3)),
        NetworkShape(3, 5, 1, outputs=7),
        NetworkShape(2, 4, 3, (2,), outputs=9),
    ],
    ids=str,
)
def test_order_of_steps_and_tokens(shape, columns):
    config = AcceleratorConfig.sized(1, columns, Formats.parse("w8a8m0"), [shape])
    run(control.sequencer, Sequencer(config), config, [shape] * 3)


def test_fewer_outputs_than_the_hardware_holds():
    shapes = [NetworkShape(2, 4, 3, (2,), outputs=n) for n in (9, 1, 3)]
    config = AcceleratorConfig.sized(1, 3, Formats.parse("w8a8m0"), shapes)
    run(control.sequencer, Sequencer(config), config, [*shapes, NetworkShape(2, 4, 2)])
