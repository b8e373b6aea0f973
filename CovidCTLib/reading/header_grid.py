"""What the header of a volume file says of its grid, what it leaves open, and where it contradicts itself."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from CovidCTLib.errors import InputError, Notice
from CovidCTLib.reading.integrity import read_fields
from CovidCTLib.reading.nifti_header import GeometrySource, NiftiGrids, choose_grid, read_nifti_grids
from CovidCTLib.reading.stated_grid import (
    MAX_TURNED_DEG,
    SAME_SIZE_SHARE,
    StatedGrid,
    in_mm,
    same_sizes,
)

OTHER_UNITS = frozenset({"m", "meter", "cm", "um", "micron", "microns", "micrometer", "nm", "in", "inch"})
"""Units of length that NRRD headers name; ITK takes all of them for mm."""

SPACING_ABSENT = Notice(
    "spacing-unknown",
    "The file does not say how large its voxels are: volumes, areas, mass and Corona Score are not given; percentages "
    "are. Export the CT with its spacing, or give it, to get them.",
    "warn",
)

SPACING_ASSUMED = Notice(
    "spacing-assumed",
    "The file says that voxels are exactly 1 x 1 x 1 mm and the first one lies at 0, 0, 0, which is what libraries "
    "write where nobody gave the spacing: volumes, areas, mass and Corona Score are not given; percentages are. Give "
    "the true spacing (1 1 1 if it is that).",
    "warn",
)

ORIENTATION_ABSENT = Notice(
    "orientation-unknown",
    "The file does not say how its axes lie in the patient; the usual order was taken, but left and right, front and "
    "back, head and feet may be wrong. Export the CT with its orientation.",
    "warn",
)

_NRRD_SIGNS = {
    "right-anterior-superior": (-1, -1, 1), "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
    "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1),
}  # fmt: skip
"""Signs that turn the axes of a NRRD space (teem's definition, "space") into LPS."""

_FROM_LETTERS = "RLAPIS"
"""Letters of MetaImage's AnatomicalOrientation name where an axis comes from: Right means that it leads to the left."""


@dataclass(frozen=True)
class HeaderGrid:
    """The grid of a header.

    Parameters
    ----------
    grid
        As stated; None where ITK's own reading of the header is taken.
    source
        What it was taken from, for the record: ``"sform"``, ``"qform"``, ``"pixdim"``, ``"space directions"``, ...
    notices
        What is open or contradictory, the weightiest first.
    spacing_known
        Whether the header says how large the voxels are.
    """

    grid: StatedGrid | None
    source: str
    notices: tuple[Notice, ...]
    spacing_known: bool


def read_header_grid(path: Path, kind: str, wanted: GeometrySource | None = None) -> HeaderGrid:
    """Read what the header of a volume file says about its grid, and hold its statements against each other.

    Parameters
    ----------
    path
        A file whose header can be read.
    kind
        Its format, as `format_of` names it.
    wanted
        Which statement of a NIfTI header is taken; None chooses (`choose_grid`).

    Returns
    -------
    HeaderGrid
        With the notices `SPACING_ABSENT`, `SPACING_ASSUMED`, `ORIENTATION_ABSENT`, ``spacing-contradicts``,
        ``sides-contradict``, ``grids-differ`` and ``negative-spacing`` where they hold.

    Raises
    ------
    InputError
        If a NRRD header gives lengths in another unit than mm, or the statement that is wanted is not there.
    """
    if kind == "NIfTI":
        return _of_nifti(read_nifti_grids(path), wanted)
    if wanted is not None:
        raise InputError(
            f"The geometry chooses between the two grids of a NIfTI header, but this is a {kind} file, which has one. "
            "Leave it out."
        )
    return _of_nrrd(path) if kind == "NRRD" else _of_meta_image(path)


def is_default_grid(spacing_mm: tuple[float, ...], origin_mm: tuple[float, ...]) -> bool:
    """Tell whether a grid is what libraries write where nobody gave one: exactly 1 mm, exactly at 0."""
    return all(size == 1.0 for size in spacing_mm) and not any(origin_mm)


def _finished(
    grid: StatedGrid | None, source: str, notices: list[Notice], sizes: tuple[float, ...] | None, origin_at_0: bool
) -> HeaderGrid:
    """Add what is assumed, and put warnings before notes."""
    if sizes is None:
        notices.append(SPACING_ABSENT)
    elif is_default_grid(sizes, () if origin_at_0 else (1.0,)):
        notices.append(SPACING_ASSUMED)
        sizes = None
    notices.sort(key=lambda notice: notice.severity != "warn")
    return HeaderGrid(grid, source, tuple(notices), sizes is not None)


def _of_nifti(grids: NiftiGrids, wanted: GeometrySource | None) -> HeaderGrid:
    source, grid = choose_grid(grids, wanted)
    pixdim = grids.pixdim_mm
    there = all(math.isfinite(size) and size for size in pixdim)
    notices = [_negative(pixdim)] if there and min(pixdim) < 0 else []
    if grid is None or source is None:
        sizes = tuple(abs(size) for size in pixdim) if there else None
        return _finished(None, "pixdim", [*notices, ORIENTATION_ABSENT], sizes, True)
    sizes = grid.spacing_xyz_mm
    if source == "sform" and there and not same_sizes(sizes, tuple(abs(size) for size in pixdim)):
        notices.append(_sizes_differ("sform", sizes, "pixdim", tuple(abs(size) for size in pixdim), "qform"))
    elif source == "qform" and grids.sform is not None and not same_sizes(sizes, grids.sform.spacing_xyz_mm):
        notices.append(_sizes_differ("qform", sizes, "sform", grids.sform.spacing_xyz_mm, "sform"))
    other_name: GeometrySource = "qform" if source == "sform" else "sform"
    other = grids.qform if source == "sform" else grids.sform
    if other is not None:
        notices += _compared(source, grid, other_name, other)
    # A qform without sizes gives no spacing; the sform holds its own.
    spacing_known = source == "sform" or there
    return _finished(grid, source, notices, sizes if spacing_known else None, not any(grid.origin_lps_mm))


def _compared(name: str, grid: StatedGrid, other_name: str, other: StatedGrid) -> list[Notice]:
    """Tell where two grids of a header lead to other sides, are turned, or begin elsewhere."""
    if grid.sides != other.sides:
        text = (
            f"The NIfTI header contradicts itself: by its {name} the axes lead to {grid.sides}, by its {other_name} to "
            f"{other.sides}. The {name} was taken; right and left, front and back, or head and feet may be exchanged. "
            f"Check the pictures; the {other_name} can be taken in its place."
        )
        return [Notice("sides-contradict", text)]
    turned = grid.turned_deg(other)
    apart = float(np.abs(np.subtract(grid.origin_lps_mm, other.origin_lps_mm)).max())
    if turned <= MAX_TURNED_DEG and apart <= max(grid.spacing_xyz_mm):
        return []
    text = (
        f"qform and sform of the NIfTI header differ by {turned:.1f} degrees, and the first voxel by {apart:.1f} mm; "
        f"the {name} was taken."
    )
    return [Notice("grids-differ", text, "note", round(turned, 1), MAX_TURNED_DEG, "degrees")]


def _sizes_differ(
    name: str, sizes: tuple[float, ...], other_name: str, others: tuple[float, ...], remedy: str | None
) -> Notice:
    """Tell of two voxel sizes in one header."""
    ratio = float(np.prod(sizes) / np.prod(others))
    way = "The true spacing can be given."
    if remedy:
        way = f"The {remedy} can be taken in its place, or the true spacing given."
    text = (
        f"The header contradicts itself: voxels are {in_mm(sizes)} by its {name}, {in_mm(others)} by its {other_name}. "
        f"The {name} was taken; if that is wrong, volumes are {max(ratio, 1 / ratio):.2f} times off. {way}"
    )
    return Notice("spacing-contradicts", text, "warn", round(abs(ratio - 1), 3), SAME_SIZE_SHARE)


def _negative(sizes: tuple[float, ...]) -> Notice:
    return Notice(
        "negative-spacing",
        f"The header gives negative voxel sizes ({in_mm(sizes)}); their signs were left out. Some programs mean by "
        "them that an axis runs the other way: check left and right in the pictures.",
    )


def _of_nrrd(path: Path) -> HeaderGrid:
    fields, _ = read_fields(path, ":", "")
    _check_units(f"{fields.get('space units', '')} {fields.get('units', '')}")
    origin = numbers_of(fields.get("space origin", ""))
    spacings = _lengths(fields.get("spacings", "").split())
    vectors = re.findall(r"\([^)]*\)", fields.get("space directions", ""))
    steps = np.array([numbers_of(vector) for vector in vectors]).T if len(vectors) == 3 else None
    if steps is None or steps.shape != (3, 3) or not np.isfinite(steps).all() or np.linalg.det(steps) == 0:
        notices = [_negative(spacings)] if spacings and min(spacings) < 0 else []
        # Where vectors stand in the file but cannot be used, ITK decides.
        lengths = spacings or ((2.0, 2.0, 2.0) if vectors else None)
        return _finished(
            None, "spacings", [*notices, *([] if vectors else [ORIENTATION_ABSENT])], lengths, not any(origin)
        )
    signs = _NRRD_SIGNS.get(fields.get("space", "").lower())
    grid = StatedGrid.of(
        np.array(signs or (1, 1, 1))[:, None] * steps,
        np.array(signs or (1, 1, 1)) * (origin if len(origin) == 3 and np.isfinite(origin).all() else np.zeros(3)),
    )
    notices = [] if signs else [ORIENTATION_ABSENT]
    sizes = grid.spacing_xyz_mm
    if spacings and not same_sizes(sizes, tuple(abs(s) for s in spacings)):
        notices.append(_sizes_differ("space directions", sizes, "spacings", tuple(abs(s) for s in spacings), None))
    return _finished(grid, "space directions", notices, sizes, not any(origin))


def _of_meta_image(path: Path) -> HeaderGrid:
    fields, _ = read_fields(path, "=", "elementdatafile")
    sizes = _lengths(fields.get("elementspacing", fields.get("elementsize", "")).split())
    key = next((name for name in ("transformmatrix", "rotation", "orientation") if name in fields), None)
    origin = next((numbers_of(fields[name]) for name in ("offset", "position", "origin") if name in fields), [])
    notices: list[Notice] = []
    if sizes and min(sizes) < 0:
        notices.append(_negative(sizes))
        sizes = (abs(sizes[0]), abs(sizes[1]), abs(sizes[2]))
    matrix = np.array(numbers_of(fields[key])) if key is not None else np.zeros(0)
    if matrix.size != 9 or not np.isfinite(matrix).all() or np.linalg.det(matrix.reshape(3, 3)) == 0:
        return _finished(None, "ElementSpacing", [*notices, ORIENTATION_ABSENT], sizes, not any(origin))
    # Its rows are the directions of the axes (ITK's MetaImage writes them so).
    steps = matrix.reshape(3, 3).T
    lengths = tuple(float(v) for v in np.linalg.norm(steps, axis=0))
    if sizes and not same_sizes(lengths, (1.0, 1.0, 1.0)):
        if sizes == (1.0, 1.0, 1.0):
            sizes = (lengths[0], lengths[1], lengths[2])
        elif not same_sizes(lengths, sizes):
            notices.append(_sizes_differ("ElementSpacing", sizes, "TransformMatrix", lengths, None))
    unit = steps / np.linalg.norm(steps, axis=0)
    first = np.array(origin) if len(origin) == 3 and np.isfinite(origin).all() else np.zeros(3)
    grid = StatedGrid.of(unit * np.array(sizes or (1.0, 1.0, 1.0)), first)
    notices += _anatomical(fields.get("anatomicalorientation", ""), grid)
    return _finished(grid, "TransformMatrix", notices, sizes, not any(origin))


def _anatomical(letters: str, grid: StatedGrid) -> list[Notice]:
    """Hold AnatomicalOrientation against the directions."""
    said = letters.strip().upper()
    if len(said) != 3 or not set(said) <= set(_FROM_LETTERS) or len({_FROM_LETTERS.index(c) // 2 for c in said}) < 3:
        return []
    leads = {"R": "left", "L": "right", "A": "back", "P": "front", "I": "head", "S": "feet"}
    stated = ", ".join(leads[letter] for letter in said)
    if stated == grid.sides:
        return []
    text = (
        f"The MetaImage header contradicts itself: by its TransformMatrix the axes lead to {grid.sides}, by its "
        f"AnatomicalOrientation ({said}) to {stated}. The matrix was taken; right and left, front and back, or head "
        "and feet may be exchanged. Check the pictures, and export the CT again if they are."
    )
    return [Notice("sides-contradict", text)]


def _check_units(text: str) -> None:
    named = set(re.findall(r"[a-z]+", text.lower()))
    other = sorted(named & OTHER_UNITS)
    if other:
        raise InputError(
            f"Lengths in mm were expected, but the NRRD header gives them in {other[0]}. Save the CT with lengths in "
            "mm (for example in 3D Slicer) and try again."
        )


def numbers_of(text: str) -> list[float]:
    """Read all numbers of a text, between brackets and commas or not; empty where a word is none."""
    try:
        return [float(word) for word in re.sub(r"[(),]", " ", text).split()]
    except ValueError:
        return []


def _lengths(words: list[str]) -> tuple[float, float, float] | None:
    """Read the first three lengths; None where fewer are finite and not 0; other words mark other axes."""
    lengths = []
    for word in words:
        try:
            number = float(word)
        except ValueError:
            continue
        if math.isfinite(number) and number != 0:
            lengths.append(number)
    return (lengths[0], lengths[1], lengths[2]) if len(lengths) >= 3 else None
