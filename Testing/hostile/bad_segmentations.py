"""Bad segmentations for ``covidct measure``: of another CT, empty, fractional, surfaces, labels nobody named."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import broken_files as broken
import numpy as np
import SimpleITK as sitk
from bad_inputs import BadInput
from dicom_maker import chest_like


def _labels(value: float = 1, dtype: type[np.generic] = np.uint8) -> np.ndarray:
    """Two boxes of labels on the grid of the CT."""
    labels = np.zeros(chest_like().shape, dtype)
    labels[1:-1, 4:-4, 4:-4] = value
    return labels


def _volume(path: Path, array: np.ndarray, keys: Mapping[str, str] | None = None, origin: float = 0.0) -> Path:
    image = sitk.GetImageFromArray(array)
    image.SetOrigin((origin, origin, origin))
    for key, text in (keys or {}).items():
        image.SetMetaData(key, text)
    sitk.WriteImage(image, str(path))
    return path


def measure(name: str, what: str, make: Callable[[Path], Path], *options: str) -> BadInput:
    """A bad segmentation of a good CT."""

    def given(folder: Path) -> list[str]:
        ct = broken.volume(folder / "ct.nii.gz")
        return [str(ct), str(make(folder)), "-o", "out", *options]

    return BadInput(name, "covidct measure", what, given)


def _named(name: str, folder: Path, array: np.ndarray, **told: str) -> Path:
    keys = {"Segment0_ID": "S", "Segment0_Name": name, "Segment0_LabelValue": "1", "Segment0_Layer": "0", **told}
    return _volume(folder / "a.seg.nrrd", array, keys)


def _text(folder: Path, name: str) -> Path:
    (folder / name).write_text("no segmentation of any kind " * 20)
    return folder / name


def _masks(folder: Path, array: np.ndarray | None) -> Path:
    place = folder / "masks"
    place.mkdir()
    if array is not None:
        _volume(place / "lung_right.nii.gz", array)
    return place


def _cut(folder: Path) -> Path:
    path = _volume(folder / "a.nii.gz", _labels())
    return broken.cut(path, path.stat().st_size // 2)


def _mapped(*options: str) -> tuple[str, ...]:
    return ("--labels", *options)


ROWS = (
    measure("segmentation-absent", "a segmentation that is not there", lambda folder: folder / "nothing.seg.nrrd"),
    measure("segmentation-text", "a text file", lambda folder: _text(folder, "a.txt")),
    measure("segmentation-surfaces", "surfaces in place of voxels", lambda folder: _text(folder, "a.seg.vtm")),
    measure("segmentation-cut", "a labelmap that is cut off", _cut, *_mapped("right_lung=1")),
    measure("segmentation-unmapped", "a labelmap without a mapping", lambda f: _volume(f / "a.nii.gz", _labels())),
    measure(
        "segmentation-fractional", "a labelmap of fractions",
        lambda f: _volume(f / "a.nii.gz", _labels(0.5, np.float32)), *_mapped("right_lung=1"),
    ),
    measure(
        "segmentation-is-a-ct", "a CT in place of labels",
        lambda f: _volume(f / "a.nii.gz", chest_like()), *_mapped("right_lung=1"),
    ),
    measure(
        "segmentation-empty", "a labelmap without the labels of the mapping",
        lambda f: _volume(f / "a.nii.gz", _labels(0)), *_mapped("right_lung=1"),
    ),
    measure(
        "segmentation-beside", "a segmentation of another CT, which lies beside this one",
        lambda f: _volume(f / "a.nii.gz", _labels(), origin=5000.0), *_mapped("right_lung=1"),
    ),
    measure("segmentation-unknown", "segments of which none is known", lambda f: _named("liver", f, _labels())),
    measure(
        "segmentation-layer", "a header that names a layer that is not there",
        lambda f: _named("right lung", f, _labels(), Segment0_Layer="7"),
    ),
    measure("segmentation-no-masks", "a folder without masks", lambda f: _masks(f, None)),
    measure(
        "segmentation-mask-of-many", "a mask with several labels",
        lambda f: _masks(f, _labels() + np.arange(_labels().shape[2], dtype=np.uint8) % 2),
    ),
    measure(
        "segmentation-no-area", "an area that is not among the segments",
        lambda f: _named("right lung", f, _labels()), "--area", "spot",
    ),
    measure(
        "labels-no-number", "--labels without a number", lambda f: _volume(f / "a.nii.gz", _labels()),
        *_mapped("right_lung"),
    ),
    measure(
        "labels-not-known", "--labels with a name that is not known", lambda f: _volume(f / "a.nii.gz", _labels()),
        *_mapped("liver=1"),
    ),
    measure(
        "labels-twice", "--labels with one number twice", lambda f: _volume(f / "a.nii.gz", _labels()),
        *_mapped("ggo=1", "consolidation=1"),
    ),
    measure(
        "labels-and-table", "--labels and --color-table", lambda f: _volume(f / "a.nii.gz", _labels()),
        *_mapped("ggo=1"), "--color-table", "table.ctbl",
    ),
    measure(
        "table-absent", "a colour table that is not there", lambda f: _volume(f / "a.nii.gz", _labels()),
        "--color-table", "table.ctbl",
    ),
)  # fmt: skip

if __name__ == "__main__":
    # Tries these rows alone and prints their messages, for a person to read before they join the others.
    import json
    import tempfile

    from bad_inputs import tried

    found = {}
    for row in ROWS:
        with tempfile.TemporaryDirectory() as home:
            outcome = tried(row, Path(home))
        found[row.name] = [outcome.end, outcome.message]
        if outcome.trace or outcome.left:
            sys.stderr.write(f"{row.name}: {outcome}\n")
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
