"""implicore: a medical image as a small neural network, and silicon that decodes it."""

__version__ = "0.1.0"
