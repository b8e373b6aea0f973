"""Painted masks: whole-number labels in NIfTI, NRRD or MetaImage files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from CovidCTLib.errors import InputError
from CovidCTLib.geometry import CanonicalGrid, Geometry
from CovidCTLib.reading.integrity import check_complete
from CovidCTLib.reading.quiet import quiet_itk
from CovidCTLib.reading.volume_files import FORMATS, format_of, open_volume

HIGHEST_LABEL = 65535


def read_labels(path: Path) -> NDArray[np.uint16]:
    """Read a mask in the canonical axial orientation.

    Parameters
    ----------
    path
        NIfTI, NRRD or MetaImage.

    Returns
    -------
    ndarray
        uint16, shape ``(z, y, x)``, from the feet to the head, front to back, the patient's right to the left.

    Raises
    ------
    InputError
        If there is no such file, it is of another type, damaged, not 3D, oblique, or holds no labels.
    """
    kind = format_of(path)
    if not path.is_file() or kind is None:
        reason = "its name ends in none of these" if path.is_file() else "there is none"
        raise InputError(f"A mask in a file of type {', '.join(FORMATS)} was expected, but {reason}. Check the path.")
    check_complete(path)
    with quiet_itk():
        reader = open_volume(path, kind)
        try:
            image = reader.Execute()
        except RuntimeError:
            raise InputError(
                "A readable mask was expected, but this file is damaged. Copy or export it again."
            ) from None
    if image.GetDimension() != 3:
        raise InputError(f"A 3D mask was expected, but this one has {image.GetDimension()} dimensions. Save it as 3D.")
    values = sitk.GetArrayViewFromImage(image)
    if values.min() < 0 or values.max() > HIGHEST_LABEL or not np.array_equal(values, np.rint(values)):
        raise InputError(
            f"A mask of whole-number labels was expected, but its values run from {float(values.min()):g} to "
            f"{float(values.max()):g}. Give the painted mask, not an image."
        )
    grid = CanonicalGrid(Geometry.from_image(image))
    if grid.resamples:
        raise InputError(
            f"A mask along the patient's axes was expected, but this one is turned by {grid.angle_deg:.0f} degrees. "
            "Paint it on the volume that --uncalibrated writes."
        )
    # A copy, as the values are a view of an image that ends here.
    return np.array(grid.take(values, 0), dtype=np.uint16, order="C")
