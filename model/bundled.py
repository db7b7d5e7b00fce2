"""The MRI that the package contains, to try implicore without a download."""

from importlib.resources import files
from pathlib import Path


def bundled_mri() -> Path:
    """Return the path of the bundled T1 brain, the MNI152 2009a template, resampled to 2 mm.

    The file is NIfTI-1, uint8 with the full scale of 0 to 255, in MNI152 space;
    ``tools/make_bundled_mri.py`` made it. Its copyright notice is ``NOTICE-MNI152.txt`` in the same
    folder.

    Returns
    -------
    pathlib.Path
        A file that exists if the package is installed as files, as pip does.
    """
    return Path(str(files(__package__) / "data" / "mni152_t1.nii.gz"))
