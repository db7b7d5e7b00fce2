"""A sweep with the stand-in flow, as a process of its own that can be killed."""

import sys

import explore_double
from tqdm import tqdm

from implicore.synth.explore.space import read_spec
from implicore.synth.explore.sweep import sweep

if __name__ == "__main__":
    spec, folder, log, seconds, scheduler = sys.argv[1:]
    sweep(
        read_spec(spec),
        folder,
        bar=lambda total, text: tqdm(total=total, disable=True),
        scheduler=scheduler or None,
        does=explore_double.flow(log, float(seconds)),
    )
