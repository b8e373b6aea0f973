"""Whether the values are the HU of a chest, and what was lost: wrong offset or scale, clipping, metal, noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidCTLib.checks.sample import Sample, refuse
from CovidCTLib.errors import Notice
from CovidCTLib.framing import Body
from CovidCTLib.hu import (
    AERATION_BANDS,
    FATTY_HU,
    LOWEST_HU,
    MIN_FAT_PERCENT,
    NETWORK_HIGH_HU,
)

TISSUE_FROM_HU = -500
"""Lung and air lie under this, in HU, all tissue above."""

DENSE_HU = 500
"""Only bone, metal and strong contrast medium are at or above this, in HU."""

MAX_DENSE_PERCENT = 20.0
"""Refused above: share of all tissue at or above `DENSE_HU`. In the shared CTs it is 0 to 1.8 %."""

SOFT_TISSUE_HU = (-200, 200)
"""Fat, water, muscle, blood and organs lie within, in HU; the upper limit is exclusive."""

MIN_SOFT_TISSUE_PERCENT = 5.0
"""Refused under: share of the voxels, padding left out, within `SOFT_TISSUE_HU`. In the shared CTs it is 27 to 65 %."""

AERATED_FROM_HU = -1000
"""Lung has values from here to `TISSUE_FROM_HU`, in HU."""

MIN_AERATED_PERCENT = 0.5
"""Refused under: share of the voxels, padding left out, with the values of lung or air; 21 to 60 % in the
shared CTs."""

MIN_CUT_OUT_PERCENT = 60.0
"""Lungs were cut out where the most frequent value takes at least this share of all voxels, and little soft tissue is
left. In the shared CTs the most frequent value takes at most 34 %."""

MIN_TURNED_OVER_PERCENT = (20.0, 5.0)
"""All signs are opposite where air and lung, and muscle, take at least these shares of the voxels at the negatives of
their HU."""

_LUNG_HU = (-950, -500)
_AIR_TURNED_OVER_HU, _MUSCLE_TURNED_OVER_HU = (700, None), (-100, -20)

MAX_TISSUE_PEAK_HU = 250.0
"""Refused above: the most frequent value of tissue. That of a CT is fat near -100 or muscle near 50."""

LOST_OFFSET_HU = 1024
"""What stored values of 12-bit CT are above HU."""

TISSUE_PEAK_RANGE_HU = (-150.0, 130.0)
"""Warned outside: the most frequent value of tissue. In the shared CTs it is -130 to 92 HU."""

MAX_LOWEST_AIR_HU = -950.0
"""Warned above: the value under which one voxel of a thousand lies. Air is -1000 HU by definition, and every chest
holds some, in the windpipe at least. In the shared CTs it is -1023 to -1002 HU."""

_LOWEST_FRACTION = 0.001

MAX_AT_TOP_PPM = 100.0
"""A scan counts as clipped if more voxels than this, in a million, have its highest value. In the unclipped shared CTs
at most 5 have it, in the clipped ones 416 and more."""

SCANNER_TOP_HU = 2000
"""Values end here or above where nobody clipped them: 12-bit scanners saturate at 3071 HU in metal."""

MAX_STEP_HU = 5.0
"""Noted above: mean step between values that occur from air to tissue. 8-bit sources have 5 HU and more."""

METAL_HU = 2500
"""At or above this there is metal, in HU: bone and enamel stay under it."""

MAX_METAL_ML = 0.5
"""Warned above: volume at or above `METAL_HU`; a ball of 10 mm."""

MAX_NOISE_HU = 100.0
"""Warned above: standard deviation in even soft tissue. Soft kernels give 10 to 30 HU, sharp ones on thin slices 60 to
80; in the shared CTs it is 7 to 61 HU."""

_NOISE_BLOCK_MM, _NOISE_SLICES = 6.0, 9
_NOISE_MEAN_HU = (0.0, 120.0)
_MIN_BLOCKS = 20


def check_hounsfield(sample: Sample) -> tuple[Notice, ...]:
    """Check that air and soft tissue are where HU have them.

    Parameters
    ----------
    sample
        Of the scan.

    Returns
    -------
    tuple of Notice
        A warning where air or tissue are a little off.

    Raises
    ------
    QualityError
        If the offset was lost, the scale is wrong, or there is no soft tissue or no air.
    """
    dense = 100 * sample.share(DENSE_HU, None, TISSUE_FROM_HU)
    soft = 100 * sample.share(*SOFT_TISSUE_HU)
    aerated = 100 * sample.share(AERATED_FROM_HU, TISSUE_FROM_HU)
    if dense > MAX_DENSE_PERCENT and _is_turned_over(sample):
        raise refuse(
            "hu-scale",
            f"HU of a chest CT were expected (air near -1000, at most {MAX_DENSE_PERCENT:.0f} % of the tissue at or "
            f"above {DENSE_HU}), but {dense:.0f} % are and air lies near 1000: all values have the opposite sign. "
            "Multiply them by -1, or export the CT again.",
            round(dense, 1),
            MAX_DENSE_PERCENT,
            "%",
        )
    # Where the offset was lost, nothing but padding lies under water.
    if sample.quantile_hu(_LOWEST_FRACTION) > TISSUE_FROM_HU and dense > MAX_DENSE_PERCENT:
        peak = sample.peak_hu(DENSE_HU)
        raise refuse(
            "hu-offset-lost",
            f"HU of a chest CT were expected (soft tissue near 50, at most {MAX_TISSUE_PEAK_HU:.0f}), but tissue lies "
            f"near {peak}, as if the offset of {LOST_OFFSET_HU} had been lost. Export the CT again with its rescale "
            f"intercept, or subtract {LOST_OFFSET_HU} from all voxels but the padding.",
            float(peak),
            MAX_TISSUE_PEAK_HU,
            "HU",
        )
    if dense > MAX_DENSE_PERCENT:
        raise refuse(
            "hu-scale",
            f"HU of a chest CT were expected (at most {MAX_DENSE_PERCENT:.0f} % of the tissue at or above {DENSE_HU}), "
            f"but {dense:.0f} % are, so the values have another scale. Export the CT again with its rescale slope.",
            round(dense, 1),
            MAX_DENSE_PERCENT,
            "%",
        )
    if soft < MIN_SOFT_TISSUE_PERCENT and (alike := _cut_out_percent(sample)) >= MIN_CUT_OUT_PERCENT:
        raise refuse(
            "no-soft-tissue",
            f"A chest CT with the body around the lungs was expected, with at least {MIN_SOFT_TISSUE_PERCENT:.0f} % of "
            f"the voxels from {SOFT_TISSUE_HU[0]} to {SOFT_TISSUE_HU[1]}, but {soft:.1f} % are, and {alike:.0f} % of "
            "all voxels have one value: the lungs seem to have been cut out. Give the CT as it was before.",
            round(soft, 2),
            MIN_SOFT_TISSUE_PERCENT,
            "%",
        )
    if soft < MIN_SOFT_TISSUE_PERCENT:
        raise refuse(
            "no-soft-tissue",
            f"A chest CT in HU was expected, with at least {MIN_SOFT_TISSUE_PERCENT:.0f} % of the voxels from "
            f"{SOFT_TISSUE_HU[0]} to {SOFT_TISSUE_HU[1]}, but {soft:.1f} % are. Check that this is a CT of the body, "
            "and that its rescale intercept was applied once.",
            round(soft, 2),
            MIN_SOFT_TISSUE_PERCENT,
            "%",
        )
    if aerated < MIN_AERATED_PERCENT:
        raise refuse(
            "no-air",
            f"A chest CT in HU was expected, with at least {MIN_AERATED_PERCENT} % of the voxels from "
            f"{AERATED_FROM_HU} to {TISSUE_FROM_HU}, but {aerated:.2f} % are: there is no lung. Give a chest CT that "
            "was not windowed.",
            round(aerated, 3),
            MIN_AERATED_PERCENT,
            "%",
        )
    return (*_lack_of_fat(sample), *_small_shifts(sample))


def _lack_of_fat(sample: Sample) -> tuple[Notice, ...]:
    """Warn of a picture without fat; no refusal, as phantoms and some edited CTs have none."""
    fat = 100 * sample.share(*FATTY_HU, TISSUE_FROM_HU)
    if fat >= MIN_FAT_PERCENT:
        return ()
    text = (
        f"{fat:.1f} % of the tissue have the HU of fat ({FATTY_HU[0]} to {FATTY_HU[1]}), but every patient has some: "
        "this may be a map of a material (iodine, water), or HU that were windowed or changed. Then no number here is "
        "right: give the CT itself."
    )
    return (Notice("no-fat", text, "warn", round(fat, 2), MIN_FAT_PERCENT, "%"),)


def _cut_out_percent(sample: Sample) -> float:
    """Share of all voxels that have the most frequent value, in percent; 0 where the rest is not mostly lung."""
    alike = sample.largest_share()
    lung = sample.count(*_LUNG_HU) / sample.count(LOWEST_HU)
    return 100 * alike if lung >= (1 - alike) / 2 else 0.0


def _is_turned_over(sample: Sample) -> bool:
    """Tell whether air and lung lie at 700 HU and above, and muscle under -20."""
    air, muscle = (100 * sample.share(*limits) for limits in (_AIR_TURNED_OVER_HU, _MUSCLE_TURNED_OVER_HU))
    return air >= MIN_TURNED_OVER_PERCENT[0] and muscle >= MIN_TURNED_OVER_PERCENT[1]


def _small_shifts(sample: Sample) -> tuple[Notice, ...]:
    """Warn where tissue or air lie a little off."""
    notices = []
    peak, (low, high) = float(sample.peak_hu(TISSUE_FROM_HU)), TISSUE_PEAK_RANGE_HU
    if not low <= peak <= high:
        notices.append(
            Notice(
                "hu-shifted",
                f"In the whole picture most tissue lies near {peak:.0f} HU instead of fat near -100 or muscle near "
                "50, so the HU may be wrong. All measures that rest on HU are in doubt.",
                "warn",
                peak,
                low if peak < low else high,
                "HU",
            )
        )
    lowest = float(sample.quantile_hu(_LOWEST_FRACTION))
    if lowest > MAX_LOWEST_AIR_HU:
        notices.append(
            Notice(
                "no-true-air",
                f"In the whole picture air lies near {lowest:.0f} HU instead of -1000, so the HU are shifted or were "
                f"clipped. The volume of emphysema (under {AERATION_BANDS[0].high_hu:.0f} HU) and mean HU are in "
                "doubt.",
                "warn",
                lowest,
                MAX_LOWEST_AIR_HU,
                "HU",
            )
        )
    return tuple(notices)


def check_clipping(sample: Sample, highest_hu: int) -> tuple[Notice, ...]:
    """Look for values that were cut off at the top, or come in coarse steps.

    Parameters
    ----------
    sample
        Of the scan.
    highest_hu
        Highest value of the whole scan.
    """
    notices = []
    top = 1e6 * sample.count(highest_hu) / max(sample.count(LOWEST_HU), 1)
    if highest_hu <= 2 * NETWORK_HIGH_HU or (highest_hu < SCANNER_TOP_HU and top > MAX_AT_TOP_PPM):
        harm = (
            "dense opacities look less dense, and the networks do not see what they were trained on"
            if highest_hu < NETWORK_HIGH_HU
            else "means and mass of dense parts are too low; lungs and opacities are found all the same"
        )
        notices.append(
            Notice(
                "clipped-hu",
                f"No voxel is above {highest_hu} HU in the whole picture, so the scan was clipped when it was "
                f"exported: {harm}.",
                "warn" if highest_hu < NETWORK_HIGH_HU else "note",
                float(highest_hu),
                float(2 * NETWORK_HIGH_HU if highest_hu <= 2 * NETWORK_HIGH_HU else SCANNER_TOP_HU),
                "HU",
            )
        )
    low, high = AERATED_FROM_HU, 100
    values = int(np.count_nonzero(sample.counts[low - LOWEST_HU : high - LOWEST_HU]))
    # With few voxels, many values are missing by chance.
    if values and sample.count(low, high) > 100 * (high - low) and (step := (high - low) / values) > MAX_STEP_HU:
        notices.append(
            Notice(
                "coarse-hu",
                f"HU in the whole picture come in steps of about {step:.0f}, as from an 8-bit source; statistics of HU "
                "are less exact.",
                "note",
                round(step, 1),
                MAX_STEP_HU,
                "HU",
            )
        )
    return tuple(notices)


def check_metal(sample: Sample, voxel_ml: float, body: Body) -> tuple[Notice, ...]:
    """Measure how much metal is in the body; that of table and clothes makes no streaks in the lungs.

    Parameters
    ----------
    sample
        Of the scan.
    voxel_ml
        Volume of one voxel of the scan in ml.
    body
        Of the scan.
    """
    dense_voxels = np.nonzero(sample.hu >= METAL_HU)
    if not dense_voxels[0].size:
        return ()
    inside = _filled(body)[
        tuple(
            np.minimum((step // 2 + step * index) // coarse, size - 1)
            for step, index, coarse, size in zip(sample.every, dense_voxels, body.step, body.trunk.shape, strict=True)
        )
    ]
    metal_ml = float(np.count_nonzero(inside)) * sample.voxels * voxel_ml
    if metal_ml <= MAX_METAL_ML:
        return ()
    text = (
        f"There are {metal_ml:.1f} ml of metal in the body (at or above {METAL_HU} HU). Its streaks can look like "
        "opacities and hide others; look at the slices with it."
    )
    return (Notice("metal", text, "warn", round(metal_ml, 2), MAX_METAL_ML, "ml"),)


def _filled(body: Body) -> NDArray[np.bool_]:
    """Fill the trunk slice by slice."""
    return np.stack([ndimage.binary_fill_holes(plane) for plane in body.trunk])


def check_noise(
    hu: NDArray[np.int16], spacing_zyx_mm: tuple[float, float, float], body: Body | None = None
) -> tuple[Notice, ...]:
    """Measure the noise in even soft tissue.

    Parameters
    ----------
    hu
        Canonical axial HU, shape ``(z, y, x)``.
    spacing_zyx_mm
        Spacing in mm.
    body
        Of the scan: only blocks whose middle lies in it count, so that cushions and table do not; None counts all.

    Notes
    -----
    The lower quartile of the standard deviations of blocks of 6 mm whose mean is that of soft tissue, after the global
    noise index (doi:10.2214/AJR.14.13613), in nine slices. Blocks that hold an edge are in the upper quartiles.
    """
    size = max(4, round(_NOISE_BLOCK_MM / min(spacing_zyx_mm[1:])))
    rows, columns = (n // size * size for n in hu.shape[1:])
    planes = np.unique(np.linspace(0.2 * len(hu), 0.8 * len(hu), _NOISE_SLICES).astype(int))
    sums = []
    inside = None if body is None else _filled(body)
    for index_z, plane in zip(planes, hu[planes, :rows, :columns], strict=True):
        block = plane.astype(np.float32).reshape(rows // size, size, -1, size)
        mean = block.mean(axis=(1, 3))
        square = np.einsum("iajb,iajb->ij", block, block) / size**2
        even = (mean > _NOISE_MEAN_HU[0]) & (mean < _NOISE_MEAN_HU[1])
        if body is not None and inside is not None:
            z, y, x = (
                np.minimum(index // step, length - 1)
                for index, step, length in zip(
                    (index_z, size * np.arange(mean.shape[0]) + size // 2, size * np.arange(mean.shape[1]) + size // 2),
                    body.step,
                    inside.shape,
                    strict=True,
                )
            )
            even &= inside[z][np.ix_(y, x)]
        sums.append(np.sqrt(np.maximum(square - mean**2, 0))[even])
    deviations = np.concatenate(sums)
    if len(deviations) < _MIN_BLOCKS or (noise := float(np.quantile(deviations, 0.25))) <= MAX_NOISE_HU:
        return ()
    text = (
        f"The scan is very noisy: soft tissue of the body varies by {noise:.0f} HU. Small opacities may be missed, "
        "and noise may be taken for opacities."
    )
    return (Notice("noisy", text, "warn", round(noise, 1), MAX_NOISE_HU, "HU"),)
