"""The accelerator in Amaranth, and the Verilog written from it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
