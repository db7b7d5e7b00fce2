"""Medical images: reading NIfTI files and DICOM series, writing NIfTI files and PNG planes.

An image keeps its true intensities (a CT is in Hounsfield units) and its exact geometry. An
unusable image is rejected here, with one sentence, before anything is computed from it.
"""

from .image import Volume, crop, to_intensities
from .load import load_source, load_volume
from .nifti import save_volume
from .picture import save_plane_png

__all__ = [
    "Volume",
    "crop",
    "load_source",
    "load_volume",
    "save_plane_png",
    "save_volume",
    "to_intensities",
]
