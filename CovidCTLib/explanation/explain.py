"""Chooses slices and explains them: Grad-CAM, LIME, opacities, and what hiding each of them does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.analysis import Analysis, AxialArrays, CancelCheck, Progress, ProgressCallback, SliceMeasures
from CovidCTLib.errors import CancelledError, InputError, OptionsError, QualityError
from CovidCTLib.explanation.hiding import LogOdds, healthy_value, hide_and_see, named_region
from CovidCTLib.explanation.slice_explanation import Explanation, Method, SliceExplanation
from CovidCTLib.explanation.superpixels import explain_by_lime, regions_for_and_against
from CovidCTLib.framing import Frame, lung_frame
from CovidCTLib.labels import OPACITY_CONSOLIDATION, OPACITY_GGO
from CovidCTLib.report.planes import opacity_area_mm2, worst_slices
from CovidCTLib.results.reading import has_ct

if TYPE_CHECKING:
    from CovidCTLib.models.store import LoadedNetwork, ModelStore

DEFAULT_WORST = 3
"""Slices that are explained where none are named: a page that is still read to its end."""

DEFAULT_SAMPLES = 500
"""Samples of LIME a slice: about eight times the superpixels of two lungs, which determines the linear model well."""

SMALLEST_SAMPLES, LARGEST_SAMPLES = 50, 20_000
"""Fewer samples than superpixels determine nothing; more take hours on a processor and change nothing."""

LARGEST_SEED = 2**32 - 1
"""Largest seed that numpy's old generator, which LIME uses, takes."""

Choice = tuple[SliceMeasures, str]


def check_numbers(samples: int, seed: int, worst: int) -> None:
    """Check the numbers that steer an explanation.

    Raises
    ------
    OptionsError
        If one is out of its range.
    """
    if not SMALLEST_SAMPLES <= samples <= LARGEST_SAMPLES:
        raise OptionsError(
            f"LIME's samples must be {SMALLEST_SAMPLES} to {LARGEST_SAMPLES} a slice, not {samples}. Correct it."
        )
    if not 0 <= seed <= LARGEST_SEED:
        raise OptionsError(f"The seed must be a whole number from 0 to {LARGEST_SEED}, not {seed}. Correct it.")
    if worst < 1:
        raise OptionsError(f"The number of worst slices must be at least 1, not {worst}. Correct it.")


def check_slice_numbers(slices: Sequence[int], depth: int) -> None:
    """Check that slices lie in a scan.

    Parameters
    ----------
    slices
        Numbers of slices.
    depth
        Axial slices of the scan.

    Raises
    ------
    OptionsError
        If one lies outside.
    """
    outside = [str(number) for number in slices if not 0 <= number < depth]
    if outside:
        lie = "is" if len(outside) == 1 else "are"
        raise OptionsError(
            f"Slices from 0 (at the feet) to {depth - 1} (at the head) were expected, but {', '.join(outside)} {lie} "
            "outside the scan. Take numbers from the column 'index' of slices.csv."
        )


def choose_slices(analysis: Analysis, slices: Sequence[int] | None, worst: int = DEFAULT_WORST) -> tuple[Choice, ...]:
    """Choose the slices to explain, and say why.

    Parameters
    ----------
    analysis
        The analysis.
    slices
        Numbers of slices as in ``slices.csv``; None takes the worst.
    worst
        How many of the worst, at least 1: of the slices called like COVID-19, or of all if none is, those with the
        largest area of opacity, then the most probable, some millimetres apart. Without such a slice, the most
        probable one.

    Raises
    ------
    OptionsError
        If a slice lies outside the scan, or shows no lung or too little to be judged.
    QualityError
        If no slice shows enough lung to be judged.
    """
    judged = [entry for entry in analysis.slices if entry.probability is not None]
    if not judged or not (analysis.axial.lungs > 0).any():
        raise QualityError(
            "Lungs were expected, since the slice classifier looks at nothing else, but no slice shows enough lung to "
            "be judged. Choose a chest CT."
        )
    if slices is None:
        # A verdict "not like COVID-19" has no evidence that could be hidden, however large the opacity is.
        shown = worst_slices([entry for entry in judged if entry.positive] or judged, worst)
        if shown:
            return tuple((entry, _why(entry, rank)) for rank, entry in enumerate(shown, start=1))
        most = max(judged, key=lambda entry: entry.probability or 0.0)
        return ((most, "the most probable slice, since none shows opacity or is called like COVID-19"),)
    check_slice_numbers(slices, len(analysis.slices))
    chosen = tuple((analysis.slices[number], "chosen by number") for number in dict.fromkeys(slices))
    without = [str(entry.index) for entry, _ in chosen if entry.probability is None]
    if without:
        first, last = judged[0].index, judged[-1].index
        show = "shows" if len(without) == 1 else "show"
        raise OptionsError(
            f"Slices with lung were expected, but {', '.join(without)} {show} none, or too little to be judged. "
            f"Choose slices from {first} to {last} that have a probability in slices.csv."
        )
    return chosen


def _why(entry: SliceMeasures, rank: int) -> str:
    """Say why a slice is among the worst."""
    rank_words = "" if rank == 1 else f"number {rank} by "
    among = "called like COVID-19" if entry.positive else "none of which is called like COVID-19"
    if opacity_area_mm2(entry) > 0:
        return f"{rank_words}largest area of opacity among slices {among}"
    return f"{rank_words}highest probability among slices {among}, without opacity"


def explain_slices(
    analysis: Analysis,
    slices: Sequence[int] | None = None,
    *,
    worst: int = DEFAULT_WORST,
    samples: int = DEFAULT_SAMPLES,
    seed: int = 0,
    models: ModelStore | None = None,
    progress: ProgressCallback | None = None,
    cancelled: CancelCheck | None = None,
) -> Explanation:
    """Explain why the slice classifier calls slices like COVID-19, and test each explanation by hiding what it names.

    Parameters
    ----------
    analysis
        The analysis of the scan.
    slices, worst
        As in `choose_slices`.
    samples
        Samples of LIME a slice, 50 to 20,000.
    seed
        Seed of all chance, 0 to 2**32 - 1; the same seed gives the same explanation.
    models
        Where the slice classifier comes from, which must be the one of the analysis; None takes the shipped ones.
    progress
        Told of the stage ``"explaining"``, 0 to 1.
    cancelled
        Asked between batches; where it gives true the explanation ends with `CancelledError`.

    Returns
    -------
    Explanation
        Of each chosen slice.

    Raises
    ------
    OptionsError
        As `choose_slices` and `check_numbers`.
    QualityError
        As `choose_slices`.
    InputError
        If the analysis was made by another classifier, or was read from results without the CT.
    ModelError
        If weights are missing or damaged.
    CancelledError
        If the caller asked to stop.
    """
    import torch

    from CovidCTLib.models.device import usable_threads
    from CovidCTLib.models.store import ModelStore

    check_numbers(samples, seed, worst)
    chosen = choose_slices(analysis, slices, worst)
    if not has_ct(analysis):
        raise InputError(
            "The CT of the analysis was expected, since the classifier looks at it anew, but the results hold none. "
            "Analyze the CT again, or read the results together with it."
        )
    network = (models if models is not None else ModelStore(device=analysis.options.device)).slices()
    _check_same(analysis, network)
    threads_before = torch.get_num_threads()
    torch.set_num_threads(usable_threads(analysis.options.threads))
    try:
        explained = []
        for number, choice in enumerate(chosen):
            tell = _teller(number, len(chosen), samples, progress, cancelled)
            limit = analysis.case.slice_threshold
            explained.append(_explain(analysis.axial, choice, limit, network, samples, seed, tell))
    finally:
        torch.set_num_threads(threads_before)
    return Explanation(analysis, tuple(explained), samples, seed)


def _check_same(analysis: Analysis, network: LoadedNetwork) -> None:
    """Refuse to explain one classifier's verdicts by another."""
    used = [model for model in analysis.models if model.role == network.used.role]
    if used and used[0].sha256 != network.used.sha256:
        raise InputError(
            f"The slice classifier of the analysis was expected ({used[0].name} {used[0].version}), but the models "
            f"hold another ({network.used.name} {network.used.version}). Give the same models to both."
        )


def _teller(
    number: int, count: int, samples: int, progress: ProgressCallback | None, cancelled: CancelCheck | None
) -> Callable[[int], None]:
    """Make the function that the classifier calls with the pictures that it has judged of one slice."""
    # Hiding tests take about a hundred pictures beside LIME's.
    expected, done = samples + 100, 0

    def tell(pictures: int) -> None:
        nonlocal done
        if cancelled is not None and cancelled():
            raise CancelledError("The explanation was cancelled; nothing was changed.")
        done += pictures
        if progress is not None:
            progress(Progress("explaining", (number + min(1.0, done / expected)) / count))

    return tell


def _asker(network: LoadedNetwork, tell: Callable[[int], None]) -> LogOdds:
    """Make the function that asks the classifier, batch by batch."""
    import torch

    from CovidCTLib.models.store import BATCH

    def ask(images: NDArray[np.float32]) -> NDArray[np.float64]:
        answers = []
        for start in range(0, len(images), BATCH):
            batch = np.ascontiguousarray(images[start : start + BATCH, None], dtype=np.float32)
            answers.append(network.run(torch.from_numpy(batch)).double().numpy())
            tell(len(batch))
        return np.concatenate(answers)

    return ask


def _explain(
    axial: AxialArrays,
    choice: Choice,
    threshold: float,
    network: LoadedNetwork,
    samples: int,
    seed: int,
    tell: Callable[[int], None],
) -> SliceExplanation:
    """Explain one slice."""
    from CovidCTLib.models.networks import SliceClassifier
    from CovidCTLib.slices.localization import activation_maps
    from CovidCTLib.slices.lung_crop import crop_lungs

    entry, reason = choice
    size, k = network.card.size, entry.index
    frame = lung_frame(axial.lungs, axial.geometry.spacing_zyx_mm)
    crop = crop_lungs(axial.hu, axial.lungs, frame, np.array([k]), size)
    image = np.ascontiguousarray(crop[0, 0].numpy())
    lungs = _on_grid(axial.lungs[k] > 0, frame, size)
    opacities = _on_grid(np.isin(axial.opacities[k], (OPACITY_GGO, OPACITY_CONSOLIDATION)), frame, size) & lungs
    at_28, at_14, fused = (
        heat[0].float().cpu().numpy()
        for heat in activation_maps(cast(SliceClassifier, network.network), crop.to(network.device))
    )
    maps: dict[Method, NDArray[np.float32]] = {"grad_cam_14": at_14, "grad_cam_28": at_28, "grad_cam_fused": fused}
    ask = _asker(network, tell)
    healthy = healthy_value(image, lungs, opacities)
    regions: dict[Method, NDArray[np.bool_]] = {name: named_region(heat, lungs) for name, heat in maps.items()}
    superpixels = explain_by_lime(image, lungs, healthy, ask, samples, seed)
    regions["lime"], against = regions_for_and_against(superpixels)
    regions["opacities"] = opacities
    tests = hide_and_see(image, lungs, regions, healthy, entry.positive, ask, seed, threshold=threshold)
    return SliceExplanation(
        index=k,
        reason=reason,
        probability=tests[0].before,
        positive=entry.positive,
        image=image,
        lungs=lungs,
        opacities=opacities,
        maps=maps,
        superpixels=superpixels,
        regions=regions,
        against=against,
        tests=tests,
    )


def _on_grid(mask: NDArray[np.bool_], frame: Frame, size: int) -> NDArray[np.bool_]:
    """Bring a mask of a slice to the network's grid, where a pixel takes the value at its middle."""
    import torch

    cut = torch.from_numpy(frame.cut(mask[None], False).astype(np.float32))
    grid = torch.nn.functional.interpolate(cut[:, None], (size, size), mode="nearest-exact")
    return np.asarray(grid[0, 0].numpy() > 0)
