"""Bringing the lungs of a later study onto those of the first: an affine map, then B-splines, by SimpleITK.

What is matched are not the CTs themselves but *lung images*: inside the lungs the HU relative to those of healthy lung,
outside one value. Opacities are painted over with healthy lung, so that growth or shrinkage of the disease neither
pulls at the lungs nor is undone by the registration. The metric is the mean of squared differences; B-splines as in
Rueckert et al. 1999 (doi:10.1109/42.796284), the optimizer as in Byrd et al. 1995 (doi:10.1137/0916069).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from CovidCTLib.analysis import AxialArrays, CancelCheck
from CovidCTLib.errors import CancelledError, InputError
from CovidCTLib.geometry import Geometry

LEAST_DICE = 0.9
"""Dice of the lungs after registration under which, exclusive, no difference map is shown. A network's lungs
and the readers' agree to about 0.97 (doi:10.1002/mp.14676); under 0.9 a rim of several mm would count as changed."""

WORKING_MM = 4.0
"""Voxel size on which the registration works, in mm; the map is smooth, so finer voxels only take time."""

MARGIN_MM = 25.0
"""What the working grid shows around the lungs, in mm."""

CONTROL_MM = (80.0, 40.0)
"""Distance of B-spline control points in the first and the last round, in mm."""

_HEALTHY_RANGE_HU = (-150.0, 600.0)
"""HU over those of healthy lung that the lung images keep: air at one end, vessels at the other."""

_OUTSIDE_HU = 600.0
"""Value of the lung images outside the lungs: as bright as vessels, so that both edges count alike."""

_SAMPLES = 30_000
"""Voxels of the working grid that the metric looks at; about 20 for each control point of the last round."""

_SEED = 20200311
"""Of the choice of these voxels; the same studies give the same map."""

_AFFINE_ROUNDS, _SPLINE_ROUNDS = 40, 15
"""Most iterations of the optimizers in each round."""

_AIR_HU = -1000.0


@dataclass(frozen=True)
class Registration:
    """How a later study lies on the first one.

    Parameters
    ----------
    transform
        Maps points of the first study to points of the later one, LPS in mm.
    dice_before, dice
        Overlap (Dice 1945, doi:10.2307/1932409) of the two studies' lungs, 0 to 1: with their centres laid upon each
        other, and after registration.
    folded_percent
        Share of the lungs in which the map turns tissue inside out (its Jacobian determinant is not positive), in
        percent; 0 in a map that can be.
    by_hu
        Whether HU took part; where a study comes without its CT the lungs' shapes alone did.
    """

    transform: sitk.Transform
    dice_before: float
    dice: float
    folded_percent: float
    by_hu: bool


def register_lungs(
    first: AxialArrays, later: AxialArrays, *, by_hu: bool = True, cancelled: CancelCheck | None = None
) -> Registration:
    """Bring the lungs of a later study onto those of the first.

    Parameters
    ----------
    first, later
        Both in the canonical orientation; only lungs, opacities and HU are looked at.
    by_hu
        Whether HU inside the lungs take part, or the lungs' shapes alone.
    cancelled
        Asked in every iteration.

    Raises
    ------
    InputError
        If a study shows no lung, or its spacing is not known.
    CancelledError
        If the caller asked to stop.
    """
    for study in (first, later):
        if not study.spacing_known:
            raise InputError(
                "Lungs can be registered where the spacing of both studies is known, but that of one is not. Give CTs "
                "with their spacing."
            )
        if not study.lungs.any():
            raise InputError(
                "Lungs can be registered where both studies show lung, but one shows none. Check the lungs of each "
                "study."
            )
    fixed_lungs, moving_lungs = (_working_mask(study) for study in (first, later))
    fixed, moving = (_lung_image(study, mask, by_hu) for study, mask in ((first, fixed_lungs), (later, moving_lungs)))
    try:
        affine = sitk.CenteredTransformInitializer(
            fixed_lungs, moving_lungs, sitk.AffineTransform(3), sitk.CenteredTransformInitializerFilter.MOMENTS
        )
        centred = sitk.Transform(affine)
        affine = _optimize(fixed, moving, _affine_settings(affine), cancelled)
        mapping = sitk.CompositeTransform([affine])
        for level, control_mm in enumerate(CONTROL_MM):
            last = level == len(CONTROL_MM) - 1
            spline = sitk.BSplineTransformInitializer(fixed, _mesh(fixed, control_mm), 3)
            # Each round refines the ones before it: B-splines cannot be optimized through other B-splines, so it sees
            # the study as they moved it. A composite transform goes from its end to its beginning.
            moved = sitk.Resample(moving, fixed, mapping, sitk.sitkLinear, _OUTSIDE_HU)
            mapping.AddTransform(_optimize(fixed, moved, _spline_settings(spline, last), cancelled))
    except RuntimeError as error:
        raise InputError(
            "Lungs of two studies that overlap were expected, but the registration found no way from one to the other. "
            "Check that both show the same chest."
        ) from error
    return Registration(
        transform=mapping,
        dice_before=_dice(fixed_lungs, moving_lungs, centred),
        dice=_dice(fixed_lungs, moving_lungs, mapping),
        folded_percent=_folded_percent(fixed_lungs, mapping),
        by_hu=by_hu,
    )


def moved_labels(
    labels: NDArray[np.uint8], source: Geometry, target: Geometry, mapping: sitk.Transform
) -> NDArray[np.uint8]:
    """Bring labels of a later study onto the grid of the first, by nearest neighbour.

    Parameters
    ----------
    labels
        uint8, shape ``source.shape_zyx``.
    source, target
        Grids of the later and of the first study.
    mapping
        As `Registration.transform`.

    Returns
    -------
    ndarray
        uint8, shape ``target.shape_zyx``; 0 where the later study does not reach.
    """
    image = sitk.Resample(source.to_image(labels), _reference(target), mapping, sitk.sitkNearestNeighbor, 0.0)
    return np.asarray(sitk.GetArrayFromImage(image))


def moved_hu(hu: NDArray[np.int16], source: Geometry, target: Geometry, mapping: sitk.Transform) -> NDArray[np.int16]:
    """Bring HU of a later study onto the grid of the first, linearly; as `moved_labels`, but -1024 outside."""
    image = sitk.Resample(source.to_image(hu), _reference(target), mapping, sitk.sitkLinear, -1024.0)
    return np.asarray(sitk.GetArrayFromImage(image))


def _reference(geometry: Geometry) -> sitk.Image:
    """An image of a grid, with the least memory."""
    image = sitk.Image([int(size) for size in geometry.shape_zyx[::-1]], sitk.sitkUInt8)
    image.SetSpacing(geometry.spacing_xyz_mm)
    image.SetOrigin(geometry.origin_lps_mm)
    image.SetDirection(geometry.direction_lps)
    return image


def _working_grid(study: AxialArrays) -> sitk.Image:
    """A grid of `WORKING_MM` along the study's axes, around its lungs."""
    shape = np.asarray(study.geometry.shape_zyx)
    spacing = np.asarray(study.geometry.spacing_zyx_mm)
    present = [np.flatnonzero(study.lungs.any(axis=tuple(b for b in range(3) if b != a))) for a in range(3)]
    low = np.array([ends[0] for ends in present]) - MARGIN_MM / spacing
    high = np.array([ends[-1] for ends in present]) + MARGIN_MM / spacing
    low, high = np.maximum(low, -0.5), np.minimum(high, shape - 0.5)
    size = np.maximum(np.ceil((high - low) * spacing / WORKING_MM), 8).astype(int)
    step = (high - low) * spacing / size
    corner = np.append((low + 0.5 * step / spacing)[::-1], 1.0)
    origin = (study.geometry.ijk_to_lps @ corner)[:3]
    return _reference(
        Geometry(
            (int(size[0]), int(size[1]), int(size[2])),
            (float(step[2]), float(step[1]), float(step[0])),
            (float(origin[0]), float(origin[1]), float(origin[2])),
            study.geometry.direction_lps,
        )
    )


def _sampled(array: NDArray[np.float32], study: AxialArrays, grid: sitk.Image, outside: float) -> sitk.Image:
    """Bring an array onto the working grid; what the larger voxels cover is averaged, so that nothing aliases."""
    image = study.geometry.to_image(array)
    sigma = [max(0.35 * float(np.sqrt(max(WORKING_MM**2 - step**2, 0.0))), 1e-3) for step in image.GetSpacing()]
    smooth = sitk.SmoothingRecursiveGaussian(image, sigma)
    return sitk.Resample(smooth, grid, sitk.Transform(), sitk.sitkLinear, outside, sitk.sitkFloat32)


def _working_mask(study: AxialArrays) -> sitk.Image:
    """Share of lung in each voxel of the working grid, 0 to 1."""
    return _sampled((study.lungs > 0).astype(np.float32), study, _working_grid(study), 0.0)


def _lung_image(study: AxialArrays, mask: sitk.Image, by_hu: bool) -> sitk.Image:
    """HU over those of healthy lung inside the lungs, opacities painted over, and one value outside."""
    lungs = study.lungs > 0
    values = np.full(study.geometry.shape_zyx, _OUTSIDE_HU, np.float32)
    if by_hu:
        healthy = lungs & (study.opacities == 0)
        # A lung that is opaque throughout has no healthy part to be measured against.
        level = float(np.median(study.hu[healthy])) if healthy.any() else _AIR_HU
        values[healthy] = np.clip(study.hu[healthy].astype(np.float32) - np.float32(level), *_HEALTHY_RANGE_HU)
        values[lungs & ~healthy] = 0.0
    else:
        values[lungs] = 0.0
    return _sampled(values, study, mask, _OUTSIDE_HU)


def _mesh(fixed: sitk.Image, control_mm: float) -> list[int]:
    """Number of B-spline pieces along each axis."""
    extent = [size * step for size, step in zip(fixed.GetSize(), fixed.GetSpacing(), strict=True)]
    return [max(1, round(length / control_mm)) for length in extent]


Settings = Callable[[sitk.ImageRegistrationMethod], int]
"""Sets a method up, and gives the factor by which it shrinks the working grid at last."""


def _affine_settings(start: sitk.Transform) -> Settings:
    """Optimize an affine map on smoothed images."""

    def apply(method: sitk.ImageRegistrationMethod) -> int:
        method.SetOptimizerAsRegularStepGradientDescent(
            learningRate=2.0, minStep=0.01, numberOfIterations=_AFFINE_ROUNDS, gradientMagnitudeTolerance=1e-8
        )
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetInitialTransform(start, inPlace=False)
        method.SetShrinkFactorsPerLevel([2])
        method.SetSmoothingSigmasPerLevel([4.0])
        return 2

    return apply


def _spline_settings(start: sitk.Transform, last: bool) -> Settings:
    """Optimize B-splines; the last round sees the working grid in full."""

    def apply(method: sitk.ImageRegistrationMethod) -> int:
        method.SetOptimizerAsLBFGSB(
            gradientConvergenceTolerance=1e-5,
            numberOfIterations=_SPLINE_ROUNDS,
            maximumNumberOfCorrections=5,
            maximumNumberOfFunctionEvaluations=2 * _SPLINE_ROUNDS,
        )
        method.SetInitialTransform(start, inPlace=False)
        shrink = 1 if last else 2
        method.SetShrinkFactorsPerLevel([shrink])
        method.SetSmoothingSigmasPerLevel([0.0 if last else 2.0])
        return shrink

    return apply


def _optimize(
    fixed: sitk.Image, moving: sitk.Image, settings: Settings, cancelled: CancelCheck | None
) -> sitk.Transform:
    """Run one optimization."""
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMeanSquares()
    method.SetInterpolator(sitk.sitkLinear)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    shrunk = fixed.GetNumberOfPixels() / settings(method) ** 3
    method.SetMetricSamplingPercentage(min(1.0, _SAMPLES / shrunk), _SEED)
    stopped = False

    def ask() -> None:
        nonlocal stopped
        if cancelled is not None and cancelled():
            stopped = True
            method.StopRegistration()

    method.AddCommand(sitk.sitkIterationEvent, ask)
    transform = method.Execute(fixed, moving)
    if stopped:
        raise CancelledError("The follow-up was cancelled; nothing was changed.")
    return transform


def _dice(fixed: sitk.Image, moving: sitk.Image, mapping: sitk.Transform) -> float:
    """Overlap of two lung masks on the working grid."""
    moved = sitk.GetArrayViewFromImage(sitk.Resample(moving, fixed, mapping, sitk.sitkLinear, 0.0)) >= 0.5
    still = sitk.GetArrayViewFromImage(fixed) >= 0.5
    total = int(moved.sum()) + int(still.sum())
    return 2 * int((moved & still).sum()) / total if total else 0.0


def _folded_percent(fixed: sitk.Image, mapping: sitk.Transform) -> float:
    """Share of the lungs in which the map is no map of tissue, in percent."""
    field = sitk.TransformToDisplacementField(
        mapping, sitk.sitkVectorFloat64, fixed.GetSize(), fixed.GetOrigin(), fixed.GetSpacing(), fixed.GetDirection()
    )
    jacobian = sitk.GetArrayViewFromImage(sitk.DisplacementFieldJacobianDeterminant(field))
    inside = sitk.GetArrayViewFromImage(fixed) >= 0.5
    return 100.0 * float((jacobian[inside] <= 0).mean()) if inside.any() else 0.0
