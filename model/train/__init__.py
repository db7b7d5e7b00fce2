"""Training: from images to a model file, within a budget of seconds or steps.

Muon trains the hidden weight matrices, Adam everything else. Both follow one learning rate, which
warms up and then falls along a cosine. A training run can continue from its last checkpoint alone,
because the seed and the step number determine each batch.
"""

from .device import bf16_helps, choose_device
from .fitting import evaluate, fit

__all__ = ["bf16_helps", "choose_device", "evaluate", "fit"]
