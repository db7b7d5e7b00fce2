"""The MRI that ships inside the package, so that nothing is downloaded to try it."""

from importlib.resources import files
from pathlib import Path


def bundled_mri() -> Path:
    """Path of the bundled T1 brain: the MNI152 2009a template, resampled.

    The file is NIfTI-1, uint8 with the full 0 .. 255 scale, in MNI152 space;
    `tools/make_bundled_mri.py` made it. Its copyright notice lies beside it
    (``NOTICE-MNI152.txt``).

    Returns
    -------
    pathlib.Path
        A file that exists as long as the package is installed as files, which both
        pip and an editable installation do.
    """
    return Path(str(files(__package__) / "data" / "mni152_t1.nii.gz"))
