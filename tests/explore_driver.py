"""Sweep with the fake flow, as a process of its own that can be killed."""

import sys

import explore_fake
from tqdm import tqdm

from implicore.synth.explore.spec import read_spec
from implicore.synth.explore.sweep import sweep

if __name__ == "__main__":
    spec, folder, log, seconds, scheduler = sys.argv[1:]
    sweep(
        read_spec(spec),
        folder,
        bar=lambda total, text: tqdm(total=total, disable=True),
        scheduler=scheduler or None,
        flow=explore_fake.fake_flow(log, float(seconds)),
    )
