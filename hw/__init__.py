"""The accelerator in Amaranth, and the generator of its Verilog."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
