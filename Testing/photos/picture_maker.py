"""Pictures of a drawn chest whose HU are known."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

AIR, LUNG, FAT, SOFT, BONE = -985, -860, -103, 42, 500


def chest_hu(size=256, seed=0, lungs=True, cropped=False):
    """HU of one axial slice: air, fat, soft tissue, lungs with vessels, windpipe, spine; float32, square."""
    random = np.random.default_rng(seed)
    y, x = (np.mgrid[:size, :size] + 0.5) / size - 0.5
    if cropped:
        y, x = y * 0.62, x * 0.8

    def ellipse(cy, cx, ry, rx):
        return ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 <= 1

    hu = np.full((size, size), AIR, np.float32)
    hu[ellipse(0, 0, 0.36, 0.46)] = FAT
    hu[ellipse(0, 0, 0.32, 0.41)] = SOFT
    if lungs:
        inside = ellipse(0, -0.21, 0.24, 0.15) | ellipse(0, 0.21, 0.24, 0.15)
        texture = ndimage.gaussian_filter(random.standard_normal((size, size)), size / 128)
        parenchyma = LUNG + 18 * texture / texture.std()
        vessels = ndimage.gaussian_filter(random.standard_normal((size, size)), size / 100)
        parenchyma[vessels > 1.2 * vessels.std()] = -300
        hu[inside] = parenchyma[inside]
        hu[ellipse(-0.05, 0, 0.035, 0.03)] = AIR
    hu[ellipse(0.2, 0, 0.05, 0.05)] = BONE
    return ndimage.gaussian_filter(hu, 0.7) + random.normal(0, 12, hu.shape).astype(np.float32)


def as_grey(hu, low=-1200.0, high=300.0):
    """uint8 by a window from low to high HU."""
    return np.rint(np.clip((hu - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def true_values(low=-1200.0, high=300.0):
    """Grey values of -1000 and -100 HU in this window."""
    return tuple(255 * (hu - low) / (high - low) for hu in (-1000, -100))


def write_pictures(folder, count=3, size=256, ending="png", **window):
    """Write slices named slice1, slice2, ...; gives their grey arrays."""
    folder.mkdir(exist_ok=True)
    greys = [as_grey(chest_hu(size, seed), **window) for seed in range(count)]
    for number, grey in enumerate(greys, start=1):
        Image.fromarray(grey).save(folder / f"slice{number}.{ending}")
    return greys
