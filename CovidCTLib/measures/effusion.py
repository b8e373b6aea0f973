"""Pleural effusion of the right and of the left side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.labels import LEFT, OPACITY_EFFUSION, RIGHT


def effusion_voxels_by_side(opacities: NDArray[np.uint8], lungs: NDArray[np.uint8]) -> tuple[int, int]:
    """Count the voxels of effusion on the patient's right and left.

    Parameters
    ----------
    opacities
        Shape ``(z, y, x)``, canonical axial orientation (the patient's right at small x); 3 is pleural effusion.
    lungs
        Same shape: 0 background, 1 right, 2 left.

    Returns
    -------
    right, left
        Voxels on either side of the column half way between the centres of the two lungs; of the middle of the picture,
        where not both lungs were found.
    """
    columns = np.arange(lungs.shape[2])
    shadow = sum(
        (np.count_nonzero(plane == OPACITY_EFFUSION, axis=0) for plane in opacities), np.zeros(len(columns), np.intp)
    )
    if not shadow.any():
        return 0, 0
    centre = (lungs.shape[2] - 1) / 2
    centres = []
    for side in (RIGHT, LEFT):
        # Slice by slice, so that the comparison makes no copy of the volume.
        counts = sum((np.count_nonzero(plane == side, axis=0) for plane in lungs), np.zeros(len(columns), np.intp))
        centres.append(float((counts * columns).sum() / counts.sum()) if counts.sum() else None)
    if centres[0] is not None and centres[1] is not None:
        centre = (centres[0] + centres[1]) / 2
    right = int(shadow[columns < centre].sum())
    return right, int(shadow.sum()) - right
