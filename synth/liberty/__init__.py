"""Liberty files: reader, units, conditions, tables and the data of each cell.

The format is that of the *Liberty User Guide* (Synopsys, 2017.06).
"""

from .cells import Cell, Library, read_liberty

__all__ = ["Cell", "Library", "read_liberty"]
