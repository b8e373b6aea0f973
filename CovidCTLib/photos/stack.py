"""A folder of pictures as one stack of grey slices, 512 x 512 each."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from CovidCTLib.errors import InputError
from CovidCTLib.photos.pictures import HIGHEST_8_BIT, HIGHEST_16_BIT, Picture, natural_key, read_picture
from CovidCTLib.photos.regions import rim_text

SIDE_PX = 512
"""Rows and columns of a slice of the stack."""

MAX_PICTURES = 1000
"""Most pictures of one stack; a gigabyte of memory."""

BAR_LEVELS = 6.0
"""Rows or columns at the rim whose values differ by at most this much, in levels of 8 bits, are bars."""

LEAST_BAR_SHARE = 0.02
"""Narrower bars, as a share of the side, are left alone."""

MOST_BAR_SHARE = 0.45
"""Bars take at most this share from each side, so that something is left."""

First = Literal["head", "feet"]

Box = tuple[int, int, int, int]
"""First row (inclusive), last row (exclusive), first and last column of a part of a picture."""


@dataclass(frozen=True)
class Source:
    """Where a slice comes from.

    Parameters
    ----------
    number
        Place of the file in the folder's natural order, from 1, other files counted too.
    name
        The file's name; it may hold a patient's name, so it goes into results only on request.
    size
        Width and height in pixels.
    bits
        Bits a pixel.
    notes
        What a reader must know of it.
    """

    number: int
    name: str
    size: tuple[int, int]
    bits: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Skipped:
    """A file of the folder that is not in the stack, with the reason."""

    number: int
    name: str
    reason: str


@dataclass(frozen=True)
class PhotoStack:
    """Grey slices from the feet to the head, in the radiological convention.

    Parameters
    ----------
    grey
        float32, shape ``(z, 512, 512)``, 0 to 255; 0 beside a picture that is not square.
    boxes
        The part of each slice that its picture fills.
    text
        bool, shape of ``grey``: letters at the rim.
    sources
        One a slice.
    skipped
        Files that are no picture or cannot be used, in natural order.
    """

    grey: NDArray[np.float32]
    boxes: tuple[Box, ...]
    text: NDArray[np.bool_]
    sources: tuple[Source, ...]
    skipped: tuple[Skipped, ...]

    def content(self, index: int) -> NDArray[np.float32]:
        """The part of a slice that its picture fills."""
        top, bottom, left, right = self.boxes[index]
        return self.grey[index, top:bottom, left:right]

    @property
    def levels(self) -> float:
        """Levels of the pictures' own scale per level of 8 bits: 257 where all pictures have 16 bits, else 1."""
        return HIGHEST_16_BIT / HIGHEST_8_BIT if all(source.bits == 16 for source in self.sources) else 1.0


def read_stack(
    folder: str | os.PathLike[str],
    *,
    first: First = "head",
    mirrored: bool = False,
    tell: Callable[[float], None] = lambda share: None,
) -> PhotoStack:
    """Read a folder of pictures of axial slices.

    Parameters
    ----------
    folder
        Its files are taken in natural order (slice2 before slice10); folders in it are not searched.
    first
        Which end of the patient the first picture shows.
    mirrored
        Whether the pictures are seen from the head (the patient's left on the left of the picture).
    tell
        Told the share that is done, 0 to 1.

    Returns
    -------
    PhotoStack
        Bars around the pictures are removed alike for all pictures of one size; aspect ratios are kept.

    Raises
    ------
    InputError
        If there is no such folder, it holds no picture that can be used, or more than `MAX_PICTURES`.
    """
    files = _files(Path(folder))
    boxes: dict[int, tuple[tuple[int, int], Box]] = {}
    skipped: list[Skipped] = []
    for number, file in enumerate(files, start=1):
        try:
            picture = read_picture(file)
            boxes[number] = ((picture.grey.shape[0], picture.grey.shape[1]), _without_bars(picture.grey))
        except InputError as error:
            skipped.append(Skipped(number, file.name, str(error)))
        tell(number / len(files) / 2)
    if not boxes:
        raise InputError(_why_none(skipped))
    if len(boxes) > MAX_PICTURES:
        raise InputError(
            f"At most {MAX_PICTURES} pictures of one CT were expected, but the folder holds {len(boxes)}. Give each CT "
            "a folder of its own."
        )
    common = _common_boxes(list(boxes.values()))
    usual = Counter(size for size, _ in boxes.values()).most_common(1)[0][0]
    grey = np.zeros((len(boxes), SIDE_PX, SIDE_PX), np.float32)
    text = np.zeros(grey.shape, np.bool_)
    contents: list[Box] = []
    sources: list[Source] = []
    for index, (number, (size, _)) in enumerate(boxes.items()):
        file = files[number - 1]
        picture = read_picture(file)
        content, content_box = _fit(picture, common[size], mirrored)
        where = (index, slice(*content_box[:2]), slice(*content_box[2:]))
        grey[where], text[where] = content, rim_text(content)
        contents.append(content_box)
        sources.append(_source(number, file.name, picture, size, usual, common[size], bool(text[index].any())))
        tell(0.5 + (index + 1) / len(boxes) / 2)
    if first == "head":
        grey, text, contents, sources = grey[::-1], text[::-1], contents[::-1], sources[::-1]
    return PhotoStack(grey, tuple(contents), text, tuple(sources), tuple(skipped))


def _files(folder: Path) -> list[Path]:
    """Files of a folder in natural order, hidden ones and folders left out."""
    try:
        if not folder.is_dir():
            what = "a file" if folder.exists() else "nothing"
            raise InputError(f"A folder with pictures of CT slices was expected, but there is {what}. Check the path.")
        files = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    except (OSError, ValueError):
        raise InputError(
            "A folder with pictures of CT slices was expected, but it cannot be read. Check the path and its "
            "permissions."
        ) from None
    if not files:
        raise InputError("A folder with pictures of CT slices was expected, but it holds no files. Check the path.")
    return sorted(files, key=lambda path: natural_key(path.name))


def _why_none(skipped: Sequence[Skipped]) -> str:
    reasons = "; ".join(f"{count} {reason}" for reason, count in Counter(s.reason for s in skipped).most_common(3))
    return (
        f"Pictures of CT slices (JPG, PNG, BMP, TIFF, WebP) were expected, but none of the {len(skipped)} files in the "
        f"folder can be used ({reasons}). Give the folder with the pictures."
    )


def _without_bars(grey: NDArray[np.float32]) -> Box:
    """Find the part of a picture inside bars of one value."""
    ends = []
    for lines in (grey, grey.T):
        ranges = np.ptp(lines, axis=1)
        level = [lines[0].mean(), lines[-1].mean()]
        most = int(MOST_BAR_SHARE * len(lines))
        bars = []
        for number, flat in enumerate((ranges, ranges[::-1])):
            means = lines.mean(axis=1)[:: 1 if number == 0 else -1]
            bar = (flat <= BAR_LEVELS) & (np.abs(means - level[number]) <= BAR_LEVELS)
            bars.append(min(int(np.argmin(bar)) if not bar.all() else most, most))
        ends += [bars[0], len(lines) - bars[1]]
    return ends[0], ends[1], ends[2], ends[3]


def _common_boxes(sizes_and_boxes: Sequence[tuple[tuple[int, int], Box]]) -> dict[tuple[int, int], Box]:
    """The smallest box, for each size of picture, around what all pictures of this size show."""
    of_size: dict[tuple[int, int], list[Box]] = defaultdict(list)
    for size, box in sizes_and_boxes:
        of_size[size].append(box)
    common = {}
    for size, boxes in of_size.items():
        ends = np.array(boxes)
        around = [int(ends[:, 0].min()), int(ends[:, 1].max()), int(ends[:, 2].min()), int(ends[:, 3].max())]
        for axis in range(2):
            least = LEAST_BAR_SHARE * size[axis]
            if around[2 * axis] < least:
                around[2 * axis] = 0
            if size[axis] - around[2 * axis + 1] < least:
                around[2 * axis + 1] = size[axis]
        common[size] = (around[0], around[1], around[2], around[3])
    return common


def _fit(picture: Picture, box: Box, mirrored: bool) -> tuple[NDArray[np.float32], Box]:
    """Cut the bars off, resize to at most 512 x 512 with the aspect ratio kept, and say where it goes."""
    part = picture.grey[box[0] : box[1], box[2] : box[3]]
    if mirrored:
        part = part[:, ::-1]
    scale = SIDE_PX / max(part.shape)
    rows, columns = (max(1, round(side * scale)) for side in part.shape)
    if (rows, columns) != part.shape:
        # Bilinear as Pillow does it is low-pass filtered where it shrinks, and does not overshoot.
        image = Image.fromarray(np.ascontiguousarray(part)).resize((columns, rows), Image.Resampling.BILINEAR)
        part = np.asarray(image, np.float32)
    top, left = (SIDE_PX - rows) // 2, (SIDE_PX - columns) // 2
    return part, (top, top + rows, left, left + columns)


def _source(
    number: int, name: str, picture: Picture, size: tuple[int, int], usual: tuple[int, int], box: Box, text: bool
) -> Source:
    notes = list(picture.notes)
    if size != usual:
        notes.append("of another size than most, so its scale may differ")
    if box != (0, size[0], 0, size[1]):
        notes.append("bars around it were cut off")
    if text:
        notes.append("letters at its rim were replaced by air")
    return Source(number, name, (size[1], size[0]), picture.bits, tuple(notes))
