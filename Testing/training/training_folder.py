"""Small training folders in every layout that is documented."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from CovidCTLib.labelled_data.labelled import LabelledImage, read_images
from CovidCTLib.labelled_data.layout import find_cases

SHAPE = (6, 48, 48)


def chest(seed: int) -> tuple[NDArray[np.int16], NDArray[np.uint8], NDArray[np.uint8]]:
    """Make HU, lungs and opacities of a box-shaped chest: tissue, two lungs, a lesion in slices 2 and 3."""
    rng = np.random.default_rng(seed)
    hu = np.full(SHAPE, -1000, np.int16)
    hu[:, 6:42, 4:44] = 40
    lungs = np.zeros(SHAPE, np.uint8)
    lungs[1:5, 12:36, 8:20] = 1
    lungs[1:5, 12:36, 28:40] = 1
    hu[lungs == 1] = -850
    opacities = np.zeros(SHAPE, np.uint8)
    opacities[2:4, 20:30, 9:18] = 1
    opacities[3, 26:30, 9:18] = 2
    hu[opacities == 1] = -500
    hu[opacities == 2] = -100
    return (hu + rng.normal(0, 15, SHAPE)).astype(np.int16), lungs, opacities


def write_volume(folder: Path, name: str, seed: int, lungs: bool = True, opacities: bool = True) -> None:
    """Write a CT with its masks."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, array, wanted in zip(("ct", "lungs", "opacities"), chest(seed), (True, lungs, opacities), strict=True):
        if wanted:
            image = sitk.GetImageFromArray(array)
            image.SetSpacing((4.0, 4.0, 5.0))
            sitk.WriteImage(image, str(folder / f"{name}_{suffix}.nii.gz"))


def write_pictures(folder: Path, calibrated: bool, count: int = 4) -> None:
    """Write single slices as PNG, with or without their table."""
    rows = ["slice,patient,air_value,soft_tissue_value"]
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for k in range(count):
        hu, lungs, opacities = (array[2] for array in chest(100 + k))
        grey = np.clip((hu + 1000) / 10.45 * 0.8, 0, 255).astype(np.uint8)
        label = np.where(opacities > 0, 2, lungs) if calibrated else opacities
        sitk.WriteImage(sitk.GetImageFromArray(grey), str(folder / "images" / f"{k:02d}0.png"))
        sitk.WriteImage(sitk.GetImageFromArray(label.astype(np.uint8)), str(folder / "labels" / f"{k:02d}0.png"))
        rows.append(f"{k:02d}0,p{k},0,80")
    if calibrated:
        (folder / "slices.csv").write_text("\n".join(rows) + "\n")


def write_training_folder(root: Path) -> Path:
    """Write a folder with every kind of case."""
    for k in range(3):
        write_volume(root / "volumes", f"case_{k}", k)
    write_volume(root / "controls", "normal_0", 10, lungs=True, opacities=False)
    write_pictures(root / "calibrated", True)
    write_pictures(root / "photos", False)
    slices = [chest(200 + k) for k in range(3)]
    np.savez(
        root / "archive.npz",
        image_hu=np.stack([s[0][2] for s in slices]),
        lungs=np.stack([s[1][2] > 0 for s in slices]),
        slice_id=np.asarray([f"ID_{k}_Z_2" for k in range(3)]),
    )
    return root


def read_only(folder: Path, **options: object) -> LabelledImage:
    """Read the single case of a folder."""
    (case,) = find_cases(folder, **options).cases  # type: ignore[arg-type]
    (image,) = read_images(case)
    return image
