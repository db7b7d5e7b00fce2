"""The demo: the whole flow on the bundled MRI, as a sequence of subcommands.

The demo belongs to the command line and calls nothing but subcommands. It skips a step that an
earlier run completed with the same arguments, the same input files and the same version of
implicore, as long as the step's outputs are unchanged.
"""

from .run import demo

__all__ = ["demo"]
