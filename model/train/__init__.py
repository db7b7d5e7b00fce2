"""Training: from images to a model file, within a budget of seconds or steps.

Hidden weight matrices are trained by Muon, everything else by Adam. Both follow one learning rate,
which warms up and then falls along a cosine. The state of a training depends on its last checkpoint
alone: what a batch holds is determined by the seed and the step's number.
"""

from .device import bf16_helps, choose_device
from .fitting import evaluate, fit

__all__ = ["bf16_helps", "choose_device", "evaluate", "fit"]
