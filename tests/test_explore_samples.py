from dataclasses import replace

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


def test_samples_of_patches_differ_in_beats_and_in_the_depth_of_the_voxel_banks():
    network = NETWORKS["patch"]
    configs = list(sample_configs(FORMATS, True, network, patches=True))
    assert {config.voxels_per_beat for config in configs} == {1, 2, 4, 8}
    assert len({config.outputs for config in configs}) > 2
    plain = list(sample_configs(FORMATS, True, network))
    for config, other in zip(configs, plain, strict=True):
        assert replace(config, outputs=64, voxels_per_beat=other.voxels_per_beat) == other
        config.check_holds(network)
    # Hardware for patches may decode single voxels, too.
    assert min(c.outputs for c in sample_configs(FORMATS, False, DEMO, patches=True)) == 2
