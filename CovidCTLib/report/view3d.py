"""A 3D view of lungs and findings without any graphics library: rays are cast through smoothed masks.

Each mask is brought to a coarse isotropic grid and smoothed, so that its 0.5 level is a smooth surface. The grid is
turned about the patient's long axis; parallel rays then run along one array axis, and the first sample inside the
level, refined linearly, is what a ray hits. Normals are the gradients of the smoothed mask there. Lungs are drawn as
glass (hardly visible from straight on, denser towards their silhouette), findings as shaded solids.

VTK was tried in its place (9.7 from PyPI, Linux, no display): where EGL finds no driver and OSMesa is not installed,
drawing ends the whole process with signal 11, which nothing can catch, and a child process for it takes more seconds
to start than this takes for all views. With Mesa's EGL its three views of a real CT show the same from the same
directions, in 4.4 s of processor time against 2.6 s here, so the report needs neither VTK nor a driver.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from CovidCTLib.analysis import AxialArrays
from CovidCTLib.labels import LUNG_LABELS, OPACITY_LABELS
from CovidCTLib.report.planes import lung_box

GRID_MM = 2.0
"""Sampling distance, in mm; details under it cannot be seen at the size of the picture."""

MOST_SAMPLES = 190
"""Most samples along an axis; a larger scan is sampled more coarsely, so that the time stays bounded."""

OBLIQUE_DEG = 40.0
"""Turn of the oblique views about the long axis, in degrees."""

SMOOTHING = 1.1
"""Standard deviation of the Gaussian that smooths masks before their surface is taken, in samples."""

LOCALIZATION_LEVEL = 0.5
"""Value of the localization whose surface is shown (at least half as strong as the strongest possible)."""

LOCALIZATION_COLOUR = (0, 158, 115)
"""Red, green, blue of that surface: of Okabe and Ito's colour-blind safe set the one that no label has."""

SURFACE_LEVEL = 0.5
"""Level of a smoothed mask that is its surface."""

SMALLEST_SEEN_MM = 5.0
"""Spots under about this diameter, in mm, may be smoothed away beside larger ones; the report says so."""

BACKGROUND = (11, 15, 20)
"""Red, green, blue (0 to 255) behind the model: nearly black, as beside a CT."""

_BORDER = 4
_LIGHT = np.array([0.46, -0.74, -0.49], dtype=np.float32)
"""Direction to the light in (z, y, x): above, in front, from the left of the picture."""

_VIEWER = np.array([0, -1, 0], dtype=np.float32)
"""Direction to the viewer in (z, y, x)."""

_HALF_WAY = (_LIGHT + _VIEWER) / np.linalg.norm(_LIGHT + _VIEWER)
"""Half way between light and viewer, for the shine (Blinn 1977, doi:10.1145/563858.563893)."""

F32 = NDArray[np.float32]


@dataclass(frozen=True)
class Surface:
    """One thing to draw: a field whose 0.5 level is its surface, its colour, and whether it is glass or solid.

    ``field`` is float32 in [0, 1], shape ``(z, y, x)`` on the isotropic grid; ``colour`` is in [0, 1].
    """

    field: F32
    colour: tuple[float, float, float]
    glass: bool
    alpha: float = 1.0


@dataclass(frozen=True)
class _Layer:
    """A surface seen along the rays: colour, display opacity and depth per pixel, all float32."""

    rgb: F32
    alpha: F32
    depth: F32
    glass: bool


@dataclass(frozen=True)
class Model:
    """The surfaces of a scan: what is drawn in the views of the opacities, and in that of the localization.

    ``grid_mm`` is the distance of two samples of their grid, in mm.
    """

    lungs: tuple[Surface, ...]
    opacities: tuple[Surface, ...]
    localization: tuple[Surface, ...]
    grid_mm: float = GRID_MM


def build_model(axial: AxialArrays) -> Model:
    """Bring lungs, opacities and localization to the grid of the 3D view.

    Parameters
    ----------
    axial
        The arrays; without lungs and opacities the model is empty.
    """
    box = lung_box(axial, margin_mm=0)
    spacing = axial.geometry.spacing_zyx_mm
    if not axial.lungs.any() and not axial.opacities.any():
        return Model((), (), ())
    extent = [(part.stop - part.start) * step for part, step in zip(box, spacing, strict=True)]
    grid_mm = max(GRID_MM, max(extent) / MOST_SAMPLES)
    lungs = _thin_out(axial.lungs[box], spacing, grid_mm)
    opacities = _thin_out(axial.opacities[box], spacing, grid_mm)
    localization = _thin_out(axial.localization[box], spacing, grid_mm)
    glass = tuple(
        Surface(_smooth(lungs, label.value, grid_mm), _unit(label.colour), True)
        for label in LUNG_LABELS
        if (lungs[0] == label.value).any()
    )
    solids = tuple(
        # Ground glass often wraps consolidation: it lets a little of it through.
        Surface(_smooth(opacities, value, grid_mm), _unit(label.colour), False, 0.8 if value == 1 else 1.0)
        for value, label in enumerate(OPACITY_LABELS, start=1)
        if (opacities[0] == value).any()
    )
    looked: tuple[Surface, ...] = ()
    if localization[0].max() >= LOCALIZATION_LEVEL:
        field = _smooth((localization[0] >= LOCALIZATION_LEVEL, localization[1]), True, grid_mm)
        looked = (Surface(field, _unit(LOCALIZATION_COLOUR), False),)
    return Model(glass, solids, looked, grid_mm)


def render_view(surfaces: tuple[Surface, ...], turn_deg: float, width_px: int, height_px: int) -> Image.Image:
    """Draw surfaces as seen from the patient's front, turned about the long axis.

    Parameters
    ----------
    surfaces
        What to draw, all on one grid; at least one.
    turn_deg
        Positive turns the viewer to the patient's left, negative to the right; 180 looks from behind.
    width_px, height_px
        Size of the picture; the model keeps its proportions and fits inside.
    """
    _, height, width = surfaces[0].field.shape
    # Whatever the turn, the picture keeps the same scale, so that views can be compared.
    side = int(np.ceil(np.hypot(height, width)))
    scale = view_scale(surfaces, turn_deg, width_px, height_px)
    turn = _Turn.of(height, width, turn_deg, side)
    layers = [_see(surface, turn, scale) for surface in surfaces]
    picture = _compose(layers)
    image = Image.fromarray(np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8))
    whole = Image.new("RGB", (width_px, height_px), BACKGROUND)
    # What reaches beyond the picture is empty, and paste leaves it out.
    whole.paste(image, ((width_px - image.width) // 2, (height_px - image.height) // 2))
    return whole


def view_scale(surfaces: tuple[Surface, ...], turn_deg: float, width_px: int, height_px: int) -> float:
    """Pixels of a sample's width in the picture that `render_view` draws with the same arguments."""
    return min(width_px / _reach(surfaces, turn_deg), height_px / (surfaces[0].field.shape[0] - _BORDER))


def _reach(surfaces: tuple[Surface, ...], turn_deg: float) -> float:
    """Widest silhouette over the turns of the report, in samples, so that all its views share one scale."""
    _, height, width = surfaces[0].field.shape
    from_above = np.zeros((height, width), dtype=bool)
    for surface in surfaces:
        from_above |= surface.field.max(axis=0) >= SURFACE_LEVEL
    rows, columns = np.nonzero(from_above)
    if rows.size == 0:
        return float(max(height, width))
    y, x = rows - (height - 1) / 2, columns - (width - 1) / 2
    angles = np.radians([0.0, OBLIQUE_DEG, -OBLIQUE_DEG, turn_deg])
    across = [np.abs(np.cos(angle) * x + np.sin(angle) * y).max() for angle in angles]
    return float(2 * max(across) + 2 * _BORDER)


def _unit(colour: tuple[int, int, int]) -> tuple[float, float, float]:
    return colour[0] / 255, colour[1] / 255, colour[2] / 255


_Thinned = tuple[NDArray[Any], tuple[float, float, float]]


def _thin_out(array: NDArray[Any], spacing: tuple[float, float, float], grid_mm: float) -> _Thinned:
    """Leave out voxels along axes that are sampled more finely than the grid; returns the new spacing too."""
    picks, steps = [], []
    for size, step_mm in zip(array.shape, spacing, strict=True):
        factor = max(1.0, grid_mm / step_mm)
        picks.append(np.minimum((np.arange(0, size, factor) + factor / 2).astype(int), size - 1))
        steps.append(step_mm * factor)
    thin = array[np.ix_(*picks)]
    return thin, (steps[0], steps[1], steps[2])


def _smooth(labels: _Thinned, value: int, grid_mm: float) -> F32:
    """Mask of one label on the isotropic grid with a border of zeros, smoothed, float32 in [0, 1]."""
    array, spacing = labels
    field = (array == value).astype(np.float32)
    factors = [step / grid_mm for step in spacing]
    sizes = [max(1, round(size * factor)) for size, factor in zip(field.shape, factors, strict=True)]
    for axis, size in enumerate(sizes):
        if size != field.shape[axis]:
            field = _stretch(field, axis, size)
    field = np.pad(field, _BORDER)
    # Thick slices leave steps, which need more smoothing along that axis.
    sigma = [max(SMOOTHING, min(0.65 * factor, _BORDER)) for factor in factors]
    smooth: F32 = ndimage.gaussian_filter(field, sigma, truncate=2.5)
    peak = float(smooth.max())
    # Findings that are all smaller than the Gaussian would vanish under the level: they are lifted into view.
    if 0 < peak < 2 * SURFACE_LEVEL:
        smooth = np.minimum(smooth * np.float32(1 / peak), 1)
    return smooth


def _stretch(field: F32, axis: int, size: int) -> F32:
    """Resample one axis linearly to ``size`` samples over the same extent."""
    old = field.shape[axis]
    at = np.clip((np.arange(size) + 0.5) * old / size - 0.5, 0, old - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, old - 1)
    weight = (at - low).astype(np.float32).reshape([-1 if other == axis else 1 for other in range(3)])
    return field.take(low, axis) * (1 - weight) + field.take(high, axis) * weight


@dataclass(frozen=True)
class _Turn:
    """Turn of a grid about z into a square of rays, the same for every plane and every field of that grid.

    ``target`` are the positions in the flattened square that lie in the grid, ``corner`` the first of the four
    samples around each, and ``weights`` those of the four, shape ``(4, n, 1)``.
    """

    side: int
    target: NDArray[np.intp]
    corner: NDArray[np.intp]
    weights: F32

    @classmethod
    def of(cls, height: int, width: int, turn_deg: float, side: int) -> _Turn:
        """Prepare a turn of planes of ``height`` x ``width`` samples into a square of ``side`` samples."""
        angle = np.radians(turn_deg)
        y, x = np.meshgrid(np.arange(side) - (side - 1) / 2, np.arange(side) - (side - 1) / 2, indexing="ij")
        from_y = (np.cos(angle) * y + np.sin(angle) * x + (height - 1) / 2).ravel()
        from_x = (np.cos(angle) * x - np.sin(angle) * y + (width - 1) / 2).ravel()
        target = np.flatnonzero((from_y >= 0) & (from_y < height - 1) & (from_x >= 0) & (from_x < width - 1))
        row, column = from_y[target].astype(int), from_x[target].astype(int)
        down, right = from_y[target] - row, from_x[target] - column
        weights = np.stack([(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right])
        return cls(side, target, row * width + column, weights.astype(np.float32)[..., None])

    def apply(self, field: F32) -> F32:
        """Turn a field ``(z, y, x)``; returns ``(depth, across, down)``, so that rays run along the first axis."""
        width = field.shape[2]
        # With z last, each gathered sample is one long run of memory; flipped, since rows of the picture run down.
        columns = np.ascontiguousarray(field[::-1].transpose(1, 2, 0)).reshape(-1, field.shape[0])
        turned = np.zeros((self.side * self.side, field.shape[0]), dtype=np.float32)
        part = columns[self.corner] * self.weights[0]
        for step, weight in zip((1, width, width + 1), self.weights[1:], strict=True):
            part += columns[self.corner + step] * weight
        turned[self.target] = part
        return turned.reshape(self.side, self.side, -1)


def _see(surface: Surface, turn: _Turn, scale: float) -> _Layer:
    """Cast rays through one surface and shade what they hit, at the size of the picture."""
    field = turn.apply(surface.field)
    peak = np.ascontiguousarray(field.max(axis=0).T)
    hit = peak >= SURFACE_LEVEL
    size = round(peak.shape[1] * scale), round(peak.shape[0] * scale)
    if not hit.any():
        nothing = np.zeros(size[::-1], dtype=np.float32)
        return _Layer(np.zeros((*nothing.shape, 3), dtype=np.float32), nothing, nothing, surface.glass)
    depth, normal = _hits(field, hit)
    # Values of the nearest hit go on beyond the silhouette, so that resizing mixes no background in.
    nearest = ndimage.distance_transform_edt(~hit, return_distances=False, return_indices=True)
    depth = _enlarge(depth[tuple(nearest)], size)
    normal = np.stack([_enlarge(normal[tuple(nearest)][..., part], size) for part in range(3)], axis=-1)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-6)
    # The largest value on each ray passes 0.5 smoothly at the silhouette, which gives it a soft edge.
    coverage = np.clip((_enlarge(peak, size) - SURFACE_LEVEL) * 2 * scale + 0.5, 0, 1)
    rgb, alpha = _shade(surface, normal, depth / np.float32(turn.side))
    return _Layer(rgb, alpha * coverage, depth, surface.glass)


def _hits(field: F32, hit: NDArray[np.bool_]) -> tuple[F32, F32]:
    """Depth of the first crossing of the level, and the outward unit normal (z, y, x) there.

    ``field`` has shape ``(depth, across, down)``, ``hit`` and the results have rows down and columns across.
    """
    row, column = np.nonzero(hit)
    behind = np.clip(np.argmax(field >= SURFACE_LEVEL, axis=0)[column, row], 1, field.shape[0] - 2)
    before, after = field[behind - 1, column, row], field[behind, column, row]
    part = np.clip((SURFACE_LEVEL - before) / np.maximum(after - before, 1e-6), 0, 1)
    depth = np.zeros(hit.shape, dtype=np.float32)
    depth[hit] = behind - 1 + part
    gradient = np.zeros((*hit.shape, 3), dtype=np.float32)
    last = np.asarray(field.shape) - 1
    for at, weight in ((np.maximum(behind - 1, 1), 1 - part), (behind, part)):
        for part_zyx, axis in ((0, 2), (1, 0), (2, 1)):
            here = [at, column, row]
            ahead, back = list(here), list(here)
            ahead[axis] = np.minimum(here[axis] + 1, last[axis])
            back[axis] = np.maximum(here[axis] - 1, 0)
            gradient[hit, part_zyx] -= weight * (field[tuple(ahead)] - field[tuple(back)])
    gradient /= np.maximum(np.linalg.norm(gradient, axis=-1, keepdims=True), 1e-6)
    # Rows run down the picture, but the light is given with z to the head.
    gradient[..., 0] *= -1
    return depth, gradient


def _enlarge(values: F32, size: tuple[int, int]) -> F32:
    image = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.array(image.resize(size, Image.Resampling.BICUBIC), dtype=np.float32)


def _shade(surface: Surface, normal: F32, depth: F32) -> tuple[F32, F32]:
    """Colour and display opacity from normals; ``depth`` in [0, 1] darkens what lies further back."""
    facing = np.clip(-normal[..., 1], 0, 1)
    lit = np.clip(normal @ _LIGHT, 0, 1)
    shine = np.clip(normal @ _HALF_WAY, 0, 1)
    colour = np.asarray(surface.colour, dtype=np.float32)
    if surface.glass:
        # Paler than the label's colour, or the darker lung would drown in the background.
        pale = 0.6 * colour + 0.4
        edge = (1 - facing) ** 2
        rgb = pale * (0.6 + 0.4 * lit)[..., None] + (0.3 * shine**40)[..., None]
        return rgb, 0.10 + 0.5 * edge + 0.15 * shine**40
    rgb = colour * (0.30 + 0.75 * lit)[..., None] * (1.12 - 0.45 * depth)[..., None] + (0.22 * shine**24)[..., None]
    return rgb, np.full(depth.shape, surface.alpha, dtype=np.float32)


def _compose(layers: list[_Layer]) -> F32:
    """Lay solids over each other from back to front per pixel, then the glass over all."""
    shape = layers[0].alpha.shape
    picture: F32 = np.broadcast_to(np.asarray(BACKGROUND, dtype=np.float32) / np.float32(255), (*shape, 3)).copy()
    solids = [layer for layer in layers if not layer.glass]
    if solids:
        order = np.argsort(np.stack([layer.depth for layer in solids]), axis=0)[::-1]
        for farthest_first in order:
            for number, layer in enumerate(solids):
                picture += np.where(farthest_first == number, layer.alpha, np.float32(0))[..., None] * (
                    layer.rgb - picture
                )
    for layer in layers:
        if layer.glass:
            picture += layer.alpha[..., None] * (layer.rgb - picture)
    return picture
