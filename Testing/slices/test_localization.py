"""The maps against the definition of Grad-CAM, and the localization volume's promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from CovidCTLib.analysis import AxialArrays, SliceFinding
from CovidCTLib.geometry import Geometry
from CovidCTLib.measures import measure_regions
from CovidCTLib.models.card import ModelCard
from CovidCTLib.models.networks import ResNetStages, SliceClassifier
from CovidCTLib.models.store import LoadedNetwork
from CovidCTLib.options import Options
from CovidCTLib.slices.localization import activation_maps, localize


@pytest.fixture
def classifier() -> SliceClassifier:
    torch.manual_seed(0)
    return SliceClassifier(ResNetStages([1, 1, 1, 1], [4, 4, 4, 4])).eval().requires_grad_(False)


@pytest.fixture
def loaded(classifier: SliceClassifier) -> LoadedNetwork:
    card = ModelCard("slices", "1", {}, 224, "lungs", "", "", "")
    return LoadedNetwork(classifier, card, torch.device("cpu"), torch.float32)


def test_the_maps_are_grad_cam_of_the_part_of_the_verdict_that_they_speak_for(classifier: SliceClassifier) -> None:
    images = torch.rand(2, 1, 224, 224)
    kept: dict[int, torch.Tensor] = {}
    for size, layer in ((28, classifier.backbone.layer2), (14, classifier.backbone.layer3)):
        layer.register_forward_hook(lambda _m, _i, out, size=size: kept.__setitem__(size, out))
    maps = activation_maps(classifier, images)
    _, *spots = classifier.with_spots(images.requires_grad_(True))
    for size, logits, layer, shown in zip(
        (28, 14), spots, (classifier.spots_28, classifier.spots_14), maps[:2], strict=True
    ):
        # Grad-CAM weighs each activation by the mean gradient of the score; the score is the sum of the map's logits.
        (gradient,) = torch.autograd.grad(logits.sum(), kept[size], retain_graph=True)
        weighted = (gradient.mean((2, 3), keepdim=True) * kept[size]).sum(1) + layer.bias
        expected = torch.nn.functional.interpolate(weighted.sigmoid()[:, None], (224, 224), mode="bilinear")[:, 0]
        torch.testing.assert_close(shown, expected.detach(), atol=1e-5, rtol=1e-4)


def test_the_fused_map_is_the_product_of_both(classifier: SliceClassifier) -> None:
    at_28, at_14, fused = activation_maps(classifier, torch.rand(2, 1, 224, 224))
    assert fused.equal(at_28 * at_14)
    assert fused.min() >= 0
    assert fused.max() <= 1
    assert fused.shape == (2, 224, 224)


def test_localization_is_zero_outside_lungs_and_in_normal_slices(loaded: LoadedNetwork) -> None:
    rng = np.random.default_rng(0)
    hu = rng.integers(-1000, 100, (6, 64, 64)).astype(np.int16)
    lungs = np.zeros(hu.shape, np.uint8)
    lungs[1:5, 10:50, 8:30] = 1
    findings = [SliceFinding(0.9, k in (2, 3)) for k in range(6)]
    seen: list[float] = []
    localization = localize(hu, lungs, (5.0, 2.0, 2.0), findings, loaded, 0.0, 2.0, seen.append)
    assert localization.dtype == np.float32
    assert localization.min() >= 0
    assert localization.max() <= 1
    assert localization[2:4].any()
    assert not localization[[0, 1, 4, 5]].any()
    assert not localization[lungs == 0].any()
    assert seen[-1] == 1.0


def test_without_positive_slices_the_localization_is_empty(loaded: LoadedNetwork) -> None:
    hu = np.zeros((3, 32, 32), np.int16)
    findings = [SliceFinding(0.1, False)] * 3
    lungs = np.ones(hu.shape, np.uint8)
    assert not localize(hu, lungs, (1.0, 1.0, 1.0), findings, loaded, 0.2, 2.0).any()


SIZE = 224


class _KnownMaps(torch.nn.Module):
    """A classifier whose fused maps are given: each is the square of what is handed over, slice by slice."""

    def __init__(self, roots: np.ndarray) -> None:
        super().__init__()
        self.roots = torch.from_numpy(roots.astype(np.float32))
        self.seen = 0

    def spots(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = self.roots[self.seen : self.seen + len(images)]
        self.seen += len(images)
        logits = torch.logit(chosen)
        return logits, logits


def known(maps: np.ndarray) -> LoadedNetwork:
    """A network that gives these maps, shape ``(slices, 224, 224)``, one after another."""
    card = ModelCard("slices", "1", {}, SIZE, "lungs", "", "", "")
    return LoadedNetwork(_KnownMaps(np.sqrt(maps)), card, torch.device("cpu"), torch.float32)


def lungs_of_known_frame(slices: int) -> tuple[np.ndarray, tuple[float, float, float]]:
    """Lungs of 204 x 102 pixels of 1 x 2 mm: with 10 mm around them, the network's pixels are 1 mm wide each way."""
    lungs = np.zeros((slices, 240, 120), np.uint8)
    lungs[:, 18:222, 9:60] = 1
    lungs[:, 18:222, 60:111] = 2
    return lungs, (5.0, 1.0, 2.0)


def localized(maps: np.ndarray, positive: list[bool], threshold: float, sigma_mm: float) -> np.ndarray:
    lungs, spacing = lungs_of_known_frame(len(positive))
    findings = [SliceFinding(0.9 if called else 0.1, called) for called in positive]
    return localize(np.zeros(lungs.shape, np.int16), lungs, spacing, findings, known(maps), threshold, sigma_mm)


def test_a_known_map_lies_where_it_was_and_its_sum_is_the_corona_score() -> None:
    maps = np.zeros((2, SIZE, SIZE))
    # Rows 50 to 90 mm and columns 40 to 100 mm of the frame, which begins at row 8 and column 4.
    maps[0, 50:90, 40:100] = 0.8
    maps[1, 50:90, 40:100] = 0.4
    found = localized(maps, [False, True, True, False], 0.0, 0.0)
    lungs, spacing = lungs_of_known_frame(4)
    assert found.shape == lungs.shape
    np.testing.assert_allclose(found[1, 60:96, 26:52], 0.8, atol=1e-5)
    np.testing.assert_allclose(found[2, 60:96, 26:52], 0.4, atol=1e-5)
    assert not found[[0, 3]].any()
    assert not found[:, :56].any()
    assert not found[:, :, 56:].any()
    # 40 mm x 60 mm x 5 mm are 12 cm3, of which 0.8 and 0.4 count; only the edges of the grid are soft.
    geometry = Geometry(found.shape, spacing[::-1])
    axial = AxialArrays(np.full(found.shape, -800, np.int16), lungs, np.zeros_like(lungs), found, geometry)
    values = {(m.region, m.name): m.value for m in measure_regions(axial, Options())}
    assert values["both_lungs", "corona_score_cm3"] == pytest.approx(12 * (0.8 + 0.4), rel=1e-3)
    assert values["right_lung", "corona_score_cm3"] == pytest.approx(12 * (0.8 + 0.4), rel=1e-3)
    assert values["left_lung", "corona_score_cm3"] == 0.0


def test_values_under_the_threshold_are_taken_out_before_smoothing_and_those_at_it_stay() -> None:
    maps = np.zeros((1, SIZE, SIZE))
    # The sigmoid of the stand-in's logits is exact at a half, so that its square is a quarter.
    maps[0, 50:90, 40:100] = 0.25
    maps[0, 100:140, 40:100] = 0.24
    at = localized(maps, [True], 0.25, 0.0)
    assert at[0, 60:96, 26:52].min() == pytest.approx(0.25)
    assert not at[0, 110:146, 26:52].any()
    above = localized(maps, [True], 0.2501, 0.0)
    assert not above.any()
    # Smoothing spreads what stays under the threshold, and is not cut again.
    smooth = localized(maps, [True], 0.25, 4.0)
    assert 0 < smooth[0, 100, 40] < 0.25


def test_the_gaussian_is_as_wide_in_mm_along_each_axis() -> None:
    # An impulse in the middle of five slices; the Gaussian's neighbours are exp(-d^2 / (2 sigma^2)) of it.
    maps = np.zeros((5, SIZE, SIZE))
    maps[2, 112, 112] = 1.0
    found = localized(maps, [True] * 5, 0.0, 5.0)
    row, column = 8 + 112, 4 + 56
    peak = found[2, row, column]
    # Neighbouring slices lie one sigma away: 5 mm.
    assert found[1, row, column] / peak == pytest.approx(np.exp(-0.5), rel=0.01)
    assert found[3, row, column] / peak == pytest.approx(np.exp(-0.5), rel=0.01)
    assert found[0, row, column] / peak == pytest.approx(np.exp(-2), rel=0.01)
    # 8 mm away: 8 rows of 1 mm, 4 columns of 2 mm. The impulse lies on the corner of pixels, so both sides are meant.
    beside = np.exp(-(8**2) / (2 * 5**2))
    assert np.mean([found[2, row - 8, column], found[2, row + 8, column]]) / peak == pytest.approx(beside, rel=0.03)
    assert np.mean([found[2, row, column - 4], found[2, row, column + 4]]) / peak == pytest.approx(beside, rel=0.03)
    # Smoothing spreads the impulse over as many mm3 as before.
    assert found.sum() * 2 == pytest.approx(1.0, rel=0.15)


def test_what_smoothing_carries_into_slices_that_are_not_positive_does_not_count() -> None:
    maps = np.zeros((2, SIZE, SIZE))
    maps[:, 50:90, 40:100] = 0.9
    found = localized(maps, [True, False, True, False], 0.0, 5.0)
    assert found[0, 70, 40] > 0
    assert found[2, 70, 40] > 0
    assert not found[[1, 3]].any()


def test_without_smoothing_nothing_is_spread_into_other_slices() -> None:
    maps = np.zeros((2, SIZE, SIZE))
    maps[0, 50:90, 40:100] = 0.9
    found = localized(maps, [True, True], 0.0, 0.0)
    assert not found[1].any()


def test_a_gaussian_of_less_than_a_millimetre_softens_edges_too() -> None:
    maps = np.zeros((1, SIZE, SIZE))
    maps[0, 50:90, 40:100] = 0.8
    sharp, soft = (localized(maps, [True], 0.0, sigma_mm) for sigma_mm in (0.0, 0.8))
    # The last row outside the block and the first one inside, rows of 1 mm.
    assert soft[0, 57, 40] > sharp[0, 57, 40] + 0.1
    assert soft[0, 58, 40] < sharp[0, 58, 40] - 0.1
    assert soft[0, 78, 40] == pytest.approx(0.8, abs=1e-3)


def test_more_slices_than_a_batch_keep_their_order_and_progress_reaches_one() -> None:
    maps = np.zeros((10, SIZE, SIZE))
    for k in range(10):
        maps[k, 50:90, 40:100] = (k + 1) / 20
    lungs, spacing = lungs_of_known_frame(11)
    findings = [SliceFinding(0.9, k != 4) for k in range(11)]
    seen: list[float] = []
    hu = np.zeros(lungs.shape, np.int16)
    found = localize(hu, lungs, spacing, findings, known(maps), 0.0, 0.0, seen.append)
    expected = np.insert(np.arange(1, 11) / 20, 4, 0)
    np.testing.assert_allclose(found[:, 70, 40], expected, atol=1e-5)
    assert seen == pytest.approx([0.8, 1.0])
