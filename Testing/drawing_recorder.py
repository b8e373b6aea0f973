"""Writes down what is drawn into pictures: texts, lines and polygons, picture by picture."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw

SIDE_LETTERS = ("R", "L", "A", "P", "S", "I")


@dataclass
class Drawn:
    """What was drawn into one picture.

    Parameters
    ----------
    image
        The picture.
    texts
        Position, text and anchor of each.
    lines, polygons
        Points and colour of each.
    """

    image: Image.Image
    texts: list[tuple[tuple[float, float], str, str]] = field(default_factory=list)
    lines: list[tuple[list[tuple[float, float]], object]] = field(default_factory=list)
    polygons: list[list[tuple[float, float]]] = field(default_factory=list)

    def sides(self):
        """Letters of the patient's sides, from left to right, each half way up at its own edge of the picture."""
        found = sorted((where, text, anchor) for where, text, anchor in self.texts if text in SIDE_LETTERS)
        for (x, y), _, anchor in found:
            assert y == self.image.height / 2
            assert 0 <= x <= self.image.width
            # Anchored at the near edge, so that no letter reaches out of the picture.
            assert (x < self.image.width / 4, anchor) in ((True, "lm"), (False, "rm"))
        return tuple(text for _, text, _ in found)

    def scale_bar(self):
        """Length of the scale bar in mm, as written, and in pixels, as drawn; None without one."""
        written = [text for _, text, _ in self.texts if text.endswith(" mm")]
        if not written:
            return None
        flat = [points for points, colour in self.lines if colour == (255, 255, 255) and points[0][1] == points[1][1]]
        (bar,) = flat
        return float(written[0].removesuffix(" mm")), bar[1][0] - bar[0][0]

    def cut_marks(self):
        """Where the triangles at the edges point: at which distances from the top, and at which from the left."""
        rows = sorted({tip[1] for first, second, tip in self.polygons if first[0] == second[0]})
        columns = sorted({tip[0] for first, second, tip in self.polygons if first[1] == second[1]})
        return rows, columns

    def pixels(self):
        """int, shape (rows, columns, 3)."""
        return np.asarray(self.image.convert("RGB")).astype(int)


class DrawingRecorder:
    """Stands in front of Pillow's drawing and keeps what passes."""

    def __init__(self, monkeypatch):
        self.pictures: list[Drawn] = []
        draw = ImageDraw.ImageDraw
        text, line, polygon = draw.text, draw.line, draw.polygon

        def recorded_text(this, xy, written, *args, anchor=None, **options):
            self._of(this).texts.append((tuple(xy), written, anchor))
            return text(this, xy, written, *args, anchor=anchor, **options)

        def recorded_line(this, xy, fill=None, *args, **options):
            self._of(this).lines.append(([tuple(point) for point in xy], fill))
            return line(this, xy, fill, *args, **options)

        def recorded_polygon(this, xy, *args, **options):
            self._of(this).polygons.append([tuple(point) for point in xy])
            return polygon(this, xy, *args, **options)

        monkeypatch.setattr(draw, "text", recorded_text)
        monkeypatch.setattr(draw, "line", recorded_line)
        monkeypatch.setattr(draw, "polygon", recorded_polygon)

    def _of(self, draw):
        image = draw._image
        for drawn in self.pictures:
            if drawn.image is image:
                return drawn
        self.pictures.append(Drawn(image))
        return self.pictures[-1]


def box_of(mask, inside):
    """Box of the connected part of a mask that holds a pixel: first and last row, first and last column."""
    from scipy import ndimage

    parts, _ = ndimage.label(mask)
    assert parts[inside], f"nothing is at {inside}"
    rows, columns = np.nonzero(parts == parts[inside])
    return rows.min(), rows.max(), columns.min(), columns.max()
