"""Generator of an accelerator's Verilog and the files that accompany it.

``hierarchy`` makes one module per distinct component, ``amaranth_internals`` holds everything that
uses Amaranth's private interface, and ``generator`` writes the folder.
"""

from .generator import generate
from .memories import memory_list
from .naming import PREFIX
from .ports import instance

__all__ = ["PREFIX", "generate", "instance", "memory_list"]
