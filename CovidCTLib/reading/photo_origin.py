"""How a NIfTI file says that it was made from pictures: in its description, which other programs may drop."""

from __future__ import annotations

import re
from dataclasses import dataclass

from CovidCTLib.errors import Notice

_PATTERN = re.compile(r"CovidCT photos; spacing (known|not known); (\d{1,6}) slices, (\d{1,6}) doubtful")

SPACING_UNKNOWN = Notice(
    "spacing-unknown",
    "The size of the pictures' pixels and the distance of the slices are not known: volumes, areas, mass and Corona "
    "Score are not given; percentages are. Give the spacing when the volume is made to get them.",
    "warn",
)


@dataclass(frozen=True)
class PhotoOrigin:
    """What is kept of a volume's making from pictures.

    Parameters
    ----------
    spacing_known
        Whether the user gave the spacing; otherwise that of the header is nominal.
    slices
        Number of slices.
    doubtful
        How many of them have doubtful references.
    """

    spacing_known: bool
    slices: int
    doubtful: int

    @property
    def description(self) -> str:
        """Text for the header, plain ASCII of less than 80 characters."""
        spacing_words = "known" if self.spacing_known else "not known"
        return f"CovidCT photos; spacing {spacing_words}; {self.slices} slices, {self.doubtful} doubtful"

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What a reader of an analysis must know."""
        text = (
            "This CT was made from pictures: its HU come from two references a slice, air and fat, and are less exact "
            "than those of a scanner."
        )
        if self.doubtful:
            text += f" The references of {self.doubtful} of its {self.slices} slices are doubtful."
        origin = Notice("from-pictures", text, "warn", float(self.doubtful) if self.doubtful else None)
        return (origin,) if self.spacing_known else (origin, SPACING_UNKNOWN)


def origin_from_description(text: str) -> PhotoOrigin | None:
    """Read a header's description; None if the file was not made from pictures."""
    match = _PATTERN.match(text)
    if match is None:
        return None
    return PhotoOrigin(match.group(1) == "known", int(match.group(2)), int(match.group(3)))
