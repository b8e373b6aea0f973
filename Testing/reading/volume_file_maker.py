"""Small NIfTI, NRRD and MetaImage files for the reading tests."""

from __future__ import annotations

import SimpleITK as sitk

ENDINGS = [".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd"]
SHAPE = (12, 20, 24)


def write(path, array, *, spacing=(0.7, 0.8, 2.5), compress=False, vector=False):
    """Write an array as a volume file; gives its path."""
    image = sitk.GetImageFromArray(array, isVector=vector)
    if array.ndim == 3:
        image.SetSpacing(spacing)
        image.SetOrigin((-10.0, -20.0, -300.0))
    sitk.WriteImage(image, str(path), compress)
    return path
