"""One PNG that shows every slice with its references marked, and the HU that came out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.hu import AIR_HU, FAT_HU, READING_WINDOW, apply_window
from CovidCTLib.photos.references import References

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from CovidCTLib.photos.stack import Box, PhotoStack
    from CovidCTLib.photos.volume import PhotoVolume, SliceRecord

MOST_SHOWN = 60
"""Most slices of a sheet; those left out or doubtful come first, then the others, evenly chosen."""

MARKED_WITHIN_HU = 20.0
"""Pixels whose HU lie within this of a reference are marked as that reference."""

PAIRS_A_ROW = 4
TILE_PX = 256
DPI = 80

AIR_COLOUR, FAT_COLOUR, DOUBT_COLOUR = (0.0, 0.45, 0.70), (0.90, 0.62, 0.0), "#a83200"
"""Colours that the colour-blind tell apart (Okabe and Ito)."""

_TITLE_CHARACTERS = 46


def write_contact_sheet(
    path: Path, stack: PhotoStack, volume: PhotoVolume, mask: NDArray[Any] | None, labels: tuple[int, int]
) -> None:
    """Draw the sheet.

    Parameters
    ----------
    path
        New PNG file.
    stack, volume
        The grey slices, and what became of them.
    mask
        The painted references, shape of the stack; None marks pixels by their value.
    labels
        Labels of air and of fat in the mask.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    from matplotlib import style
    from matplotlib.figure import Figure

    shown = _chosen(volume.records)
    rows = -(-len(shown) // PAIRS_A_ROW)
    with style.context(["default", {"font.size": 9}]):
        figure = Figure(figsize=(PAIRS_A_ROW * 4.6, rows * 2.5 + 0.9), dpi=DPI, layout="constrained")
        axes = figure.subplots(rows, 2 * PAIRS_A_ROW, squeeze=False)
        figure.suptitle(_heading(volume, len(shown)), fontsize=12)
        for cell in axes.flat:
            cell.axis("off")
        for position, index in enumerate(shown):
            row, column = divmod(position, PAIRS_A_ROW)
            pair = axes[row, 2 * column], axes[row, 2 * column + 1]
            record = volume.records[index]
            if record.slice_index is None or record.references is None:
                _draw_left_out(*pair, stack.grey[index], record)
                continue
            hu = volume.hu[record.slice_index]
            marks = (
                _marked(hu, stack.boxes[index])
                if mask is None
                else (mask[index] == labels[0], mask[index] == labels[1])
            )
            _draw(*pair, stack.grey[index], hu, marks, record, record.references)
        figure.savefig(path, format="png", metadata={"Software": None})


def _chosen(records: Sequence[SliceRecord]) -> list[int]:
    """Slices to show, from the head to the feet."""
    order = list(range(len(records)))[::-1]
    if len(order) <= MOST_SHOWN:
        return order
    first = [i for i in order if records[i].references is None or _doubtful(records[i])][:MOST_SHOWN]
    rest = [i for i in order if i not in set(first)]
    picked = {rest[round(i)] for i in np.linspace(0, len(rest) - 1, MOST_SHOWN - len(first))} if rest else set()
    return sorted({*first, *picked}, reverse=True)


def _doubtful(record: SliceRecord) -> bool:
    return record.references is not None and bool(record.references.doubts)


def _heading(volume: PhotoVolume, shown: int) -> str:
    left_out = sum(record.slice_index is None for record in volume.records)
    return (
        f"{shown} of {len(volume.records)} slices, head to feet. Left: picture, pixels at air marked blue, at fat "
        f"orange. Right: HU, window {READING_WINDOW.level_hu:g}/{READING_WINDOW.width_hu:g}.\n"
        f"{left_out} left out, {volume.doubtful} doubtful (red)."
    )


def _draw_left_out(left: Axes, right: Axes, grey: NDArray[np.float32], record: SliceRecord) -> None:
    left.imshow(_thin(grey), cmap="gray", vmin=0, vmax=255)
    left.set_title(_title(f"file {record.source.number}: {record.reason}"), loc="left", color=DOUBT_COLOUR)
    right.text(0.5, 0.5, "left out", ha="center", va="center", color=DOUBT_COLOUR)


def _draw(
    left: Axes,
    right: Axes,
    grey: NDArray[np.float32],
    hu: NDArray[np.int16],
    marks: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    record: SliceRecord,
    references: References,
) -> None:
    picture = np.repeat(_thin(grey)[..., None] / 255, 3, axis=2)
    for marked, colour in zip(marks, (AIR_COLOUR, FAT_COLOUR), strict=True):
        picture[_thin(marked)] = colour
    left.imshow(picture)
    right.imshow(apply_window(_thin(hu), READING_WINDOW), cmap="gray", vmin=0, vmax=1)
    colour_of_text = DOUBT_COLOUR if references.doubts else "black"
    values = f"file {record.source.number}: air {references.air:.1f}, fat {references.fat:.1f}"
    left.set_title(values, loc="left", color=colour_of_text)
    right.set_title(f"slice {record.slice_index}", loc="left", color=colour_of_text)
    if references.doubts:
        left.text(
            0, 1.0, _title("; ".join(references.doubts)), color=DOUBT_COLOUR, fontsize=7, transform=left.transAxes,
            va="top", backgroundcolor="white",
        )  # fmt: skip


def _marked(hu: NDArray[np.int16], box: Box) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Pixels of the picture near -1000 and near -100 HU; the bars beside it are none."""
    inside = np.zeros(hu.shape, np.bool_)
    inside[box[0] : box[1], box[2] : box[3]] = True
    air, fat = (inside & (np.abs(hu - np.int16(reference)) <= MARKED_WITHIN_HU) for reference in (AIR_HU, FAT_HU))
    return air, fat


def _thin(array: NDArray[Any]) -> NDArray[Any]:
    """Every other pixel, or fewer, so that a tile has `TILE_PX`."""
    step = max(1, array.shape[0] // TILE_PX)
    return array[::step, ::step]


def _title(text: str) -> str:
    return text if len(text) <= _TITLE_CHARACTERS else text[: _TITLE_CHARACTERS - 1] + "…"
