from implicore.cycles import predict as predict_cycles
from implicore.formats import Formats
from implicore.network_shape import NETWORKS
from implicore.synth import energy
from implicore.synth.explore.samples import sample_configs

FORMATS = Formats.parse("w8a12")
DEMO = NETWORKS["demo"]


def test_samples_differ_and_hold_the_program():
    configs = list(sample_configs(FORMATS, True, DEMO))
    for field in ("rows", "columns", "lanes", "weight_depth"):
        assert len({getattr(config, field) for config in configs}) > 2
    for config in configs:
        assert config.gate_zeros and config.formats == FORMATS
        config.check_holds(DEMO)
    jobs = [predict_cycles(DEMO, config, energy.SLICE) for config in configs]
    assert min(job.steps / job.cycles for job in jobs) < 0.7  # an array that has to wait
