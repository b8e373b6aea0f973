"""Small segmentations with closed-form content, as people and other programs write them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "results"))

from analysis_maker import CONSOLIDATION_BOX, GGO_BOX, LEFT_BOX, RIGHT_BOX, SHAPE_ZYX, make_analysis

from CovidCTLib.geometry import Geometry

BOXES = {"right_lung": RIGHT_BOX, "left_lung": LEFT_BOX, "ggo": GGO_BOX, "consolidation": CONSOLIDATION_BOX}
"""Place of each structure of `make_analysis`, on its usual grid."""


def mask_of(name):
    """The mask of a structure on the grid of `make_analysis`."""
    mask = np.zeros(SHAPE_ZYX, bool)
    mask[BOXES[name]] = True
    return mask


def masks():
    """All masks by name."""
    return {name: mask_of(name) for name in BOXES}


def a_scan():
    """The scan of `make_analysis`."""
    return make_analysis().scan


def write_volume(path: Path, array, geometry: Geometry | None = None, keys=()):
    """Write an array on a grid; keys are those of a NRRD header."""
    image = (geometry or a_scan().geometry).to_image(np.asarray(array))
    for key, value in dict(keys).items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(path), useCompression=True)
    return path


def write_masks(folder: Path, named):
    """Write one mask a structure, as TotalSegmentator does."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, mask in named.items():
        write_volume(folder / f"{name}.nii.gz", np.asarray(mask, np.uint8))
    return folder


def segment_keys(*segments):
    """Keys of a Slicer segmentation; each segment is a dict of the keys without their number."""
    return {f"Segment{n}_{key}": str(value) for n, segment in enumerate(segments) for key, value in segment.items()}


def terminology(value, scheme="SCT", modifier=""):
    """Slicer's text of a terminology entry."""
    kind = f"{scheme}^{value}^words"
    side = f"SCT^{modifier}^side" if modifier else "^^"
    return f"TerminologyEntry:Some list~SCT^123^Category~{kind}~{side}~Anatomic codes~^^~^^|"
