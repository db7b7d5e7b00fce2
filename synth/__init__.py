"""Synthesis: area, clock and energy for ASICs and FPGAs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
