"""The pictures of the report, each with its caption and with words for those who cannot see it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from CovidCTLib.analysis import Analysis, SliceMeasures
from CovidCTLib.labels import OPACITY_LABELS, Label
from CovidCTLib.report import view3d
from CovidCTLib.report.canvas import Overlay, draw_scale_bar, paint, write_text
from CovidCTLib.report.embedded import Picture, embed_image
from CovidCTLib.report.planes import (
    PLANES,
    Box,
    Place,
    Plane,
    PlaneName,
    cut,
    opacity_area_mm2,
    position_mm,
    worst_slices,
)

PLANE_PX = (520, 440)
"""Largest width and height of the pictures in three planes, in pixels."""

TILE_PX = (400, 330)
"""Largest width and height of a picture of the montage, in pixels."""

VIEW_PX = (520, 440)
"""Width and height of a 3D view, in pixels."""

_COORDINATE = {"axial": "S", "coronal": "P", "sagittal": "L"}
_OVERLAYS: tuple[Overlay, ...] = ("none", "findings", "localization")
_OVERLAY_TITLES = {"none": "CT alone", "findings": "CT with findings", "localization": "CT with localization"}


@dataclass(frozen=True)
class Row:
    """The pictures of one plane: CT alone, with findings, with localization."""

    title: str
    pictures: tuple[Picture, ...]


def plane_rows(analysis: Analysis, crossing: Place, box: Box) -> tuple[Row, ...]:
    """Paint the three planes through a place, each as CT alone, with findings and with localization."""
    return tuple(_plane_row(analysis, crossing, box, plane) for plane in PLANES)


def montage(analysis: Analysis, box: Box) -> tuple[Picture, ...]:
    """Paint the slices that show most, worst first; empty where no slice shows opacity or is called like COVID-19."""
    return tuple(_tile(analysis, entry, rank, box) for rank, entry in enumerate(worst_slices(analysis.slices), start=1))


def views_3d(analysis: Analysis) -> tuple[Picture, ...]:
    """Draw lungs and findings in 3D from the front and both sides, then the localization; empty without lungs."""
    model = view3d.build_model(analysis.axial)
    if not model.lungs and not model.opacities:
        return ()
    volumes = _volumes_in_words(analysis)
    views = (
        (-view3d.OBLIQUE_DEG, "Right front", "seen from the right and the front"),
        (0.0, "Front", "seen from the front"),
        (view3d.OBLIQUE_DEG, "Left front", "seen from the left and the front"),
    )
    pictures = []
    for turn, title, words in views:
        image = _view(analysis, model, model.lungs + model.opacities, turn)
        alt = f"3D model of the translucent lungs with the opacities inside, {words}: {volumes}."
        pictures.append(embed_image(image, alt, title, "lungs and opacities"))
    image = _view(analysis, model, model.lungs + model.localization, 0.0)
    level = view3d.LOCALIZATION_LEVEL
    largest = float(analysis.axial.localization.max())
    if model.localization:
        alt = (
            "3D model of the translucent lungs, seen from the front, with the surface where the localization is at "
            f"least {level:g}; its largest value is {largest:.2f}."
        )
        caption = f"localization of at least {level:g}"
    else:
        alt = (
            f"3D model of the translucent lungs alone: the localization reaches {largest:.2f} at most, under {level:g}."
        )
        caption = f"no localization of at least {level:g}"
    pictures.append(embed_image(image, alt, "Front", caption))
    return tuple(pictures)


def _plane_row(analysis: Analysis, crossing: Place, box: Box, name: PlaneName) -> Row:
    axial = analysis.axial
    index = crossing.along(name)
    plane = cut(axial, name, index, box)
    where = f"{_COORDINATE[name]} {position_mm(axial, name, index):.1f} mm" if axial.spacing_known else ""
    if name == "axial":
        where = f"slice {index}, {where}" if where else f"slice {index}"
    where = where or f"voxel {index}"
    pictures = []
    for overlay in _OVERLAYS:
        image = paint(plane, overlay, *PLANE_PX, cuts_mm=_cuts(plane, crossing, box, name))
        alt = f"{name.capitalize()} CT at {where}{_overlay_in_words(plane, overlay)}."
        pictures.append(embed_image(image, alt, _OVERLAY_TITLES[overlay], ""))
    return Row(f"{name.capitalize()}, {where}", tuple(pictures))


def _cuts(plane: Plane, crossing: Place, box: Box, name: PlaneName) -> tuple[float, float]:
    """Where the two other planes cut this one, in mm from the top and from the left."""
    inside = [at - part.start + 0.5 for at, part in zip((crossing.z, crossing.y, crossing.x), box, strict=True)]
    from_top = (box[0].stop - box[0].start) - inside[0]
    row, column = {
        "axial": (inside[1], inside[2]),
        "coronal": (from_top, inside[2]),
        "sagittal": (from_top, inside[1]),
    }[name]
    return row * plane.pixel_mm[0], column * plane.pixel_mm[1]


def _overlay_in_words(plane: Plane, overlay: Overlay) -> str:
    if overlay == "none":
        return " in the lung reading window, without overlay"
    if overlay == "localization":
        largest = float(plane.localization.max(initial=0))
        if largest == 0:
            return " with the localization, which is zero in this plane"
        return (
            f" with the localization as a heat map: largest value {largest:.2f}, at least 0.5 on "
            f"{_area_in_words(plane, plane.localization >= 0.5)}"
        )
    lungs = f" ({plane.area_cm2(plane.lungs > 0):.0f} cm²)" if plane.spacing_known else ""
    return f" with outlines of the lungs{lungs} and the opacities: {_areas_in_words(plane)}"


def _area_in_words(plane: Plane, mask: NDArray[np.bool_]) -> str:
    """An area in cm², or as a share of the lungs in the plane where the spacing is not known."""
    if plane.spacing_known:
        return f"{plane.area_cm2(mask):.1f} cm²"
    return f"{100 * int(np.count_nonzero(mask)) / max(1, int(np.count_nonzero(plane.lungs))):.0f} % of the lungs' area"


def _areas_in_words(plane: Plane) -> str:
    """Area of each kind of opacity in a plane."""
    areas = [
        f"{label.name} {_area_in_words(plane, plane.opacities == value)}"
        for value, label in enumerate(OPACITY_LABELS, start=1)
        if np.any(plane.opacities == value)
    ]
    return ", ".join(areas) if areas else "none in this plane"


def _tile(analysis: Analysis, entry: SliceMeasures, rank: int, box: Box) -> Picture:
    plane = cut(analysis.axial, "axial", entry.index, box)
    image = paint(plane, "findings", *TILE_PX)
    probability = "no probability" if entry.probability is None else f"probability {entry.probability:.2f}"
    percent = "" if entry.opacity_percent is None else f"{entry.opacity_percent:.0f} %"
    area, where = f"opacity {percent}", f"lice {entry.index}"
    if analysis.axial.spacing_known:
        area = f"opacity {opacity_area_mm2(entry) / 100:.1f} cm²" + (f" ({percent})" if percent else "")
        where += f", S {entry.position_mm:.1f} mm"
    alt = f"Axial CT, number {rank} of the worst slices, s{where}: {_areas_in_words(plane)}; {probability}."
    return embed_image(image, alt, f"S{where}", f"{area}, {probability}")


def _view(
    analysis: Analysis, model: view3d.Model, surfaces: tuple[view3d.Surface, ...], turn_deg: float
) -> Image.Image:
    """Draw a view with its scale and the patient's sides, which an oblique view does not exchange."""
    image = view3d.render_view(surfaces, turn_deg, *VIEW_PX)
    size_px = 22 if turn_deg == 0 else 18
    write_text(image, (12, image.height / 2), "R", size_px, "lm", bold=True)
    write_text(image, (image.width - 12, image.height / 2), "L", size_px, "rm", bold=True)
    if analysis.axial.spacing_known:
        # Rays are parallel, so that one scale holds at every depth.
        draw_scale_bar(image, view3d.view_scale(surfaces, turn_deg, *VIEW_PX) / model.grid_mm)
    return image


def _volumes_in_words(analysis: Analysis) -> str:
    """Volume of each kind of opacity that is there, from the voxels of the model."""
    ml = analysis.axial.geometry.voxel_volume_mm3 / 1000
    volumes = []
    for value, label in enumerate(OPACITY_LABELS, start=1):
        voxels = np.count_nonzero(analysis.axial.opacities == value)
        if voxels:
            volumes.append(f"{label.name} {voxels * ml:.0f} ml" if analysis.axial.spacing_known else label.name)
    return ", ".join(volumes) if volumes else "no opacity"


def labels_present(analysis: Analysis) -> tuple[Label, ...]:
    """Opacity labels that legends name: ground glass and consolidation always, effusion where there is some."""
    effusion = len(OPACITY_LABELS)
    if np.any(analysis.axial.opacities == effusion):
        return OPACITY_LABELS
    return OPACITY_LABELS[: effusion - 1]
