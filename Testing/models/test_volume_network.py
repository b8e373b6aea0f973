"""Networks of volumes: the scan goes to their spacing and the result comes back to where it belongs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from CovidCTLib.lungs.network import segment_chest_by_network
from CovidCTLib.models.card import ModelCard
from CovidCTLib.models.foreign_network import RoleAdapter, patch_in_canonical_order
from CovidCTLib.models.store import LoadedNetwork
from CovidCTLib.models.volume_network import run_volume
from CovidCTLib.opacities.network import segment_opacities

SPACING = (5.0, 3.0, 2.0)


class _Dark(torch.nn.Module):
    """Calls what is darker than -400 HU lung; its window is -1000 to 200 HU."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 0.5 - x


class _Bands(torch.nn.Module):
    """None under -700 HU, ground glass to -200 HU, consolidation above; the window is -1000 to 0 HU."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([(0.3 - x) * 100, torch.full_like(x, 1.0), 1 + (x - 0.8) * 100], dim=1)


def volume_network(network: torch.nn.Module, **fields: Any) -> LoadedNetwork:
    known: dict[str, Any] = {
        "architecture": {"_target_": "monai.networks.nets.UNet"},
        "role": "lungs",
        "channels": ("lung",),
        "window_hu": (-1000, 200),
        "orientation": "RAS",
        "patch": (48, 40, 8),
        "spacing_mm": (2.5, 3.5, 6.0),
    }
    card = ModelCard(
        **{
            "name": "x",
            "version": "1",
            "size": 0,
            "framing": "volume",
            "expects": "",
            "gives": "",
            "sha256": "",
            **known,
            **fields,
        }
    )
    return LoadedNetwork(RoleAdapter(network, card), card, torch.device("cpu"), torch.float32)


@pytest.fixture
def chest() -> tuple[np.ndarray, np.ndarray]:
    """A block of tissue with two lungs of different size, so that a mirrored result would show."""
    hu = np.full((24, 70, 100), 40, np.int16)
    truth = np.zeros(hu.shape, bool)
    truth[3:20, 12:58, 14:44] = truth[5:20, 20:58, 56:84] = True
    hu[truth] = -850
    return hu, truth


def test_patch_and_spacing_follow_the_orientation() -> None:
    card = volume_network(_Dark()).card
    assert patch_in_canonical_order(card) == ((8, 40, 48), (6.0, 3.5, 2.5))


@pytest.mark.parametrize("spacing", [(2.5, 3.5, 6.0), (2.0, 3.0, 5.0), (4.0, 4.0, 4.0)])
def test_lungs_come_back_on_the_scans_grid(chest: Any, spacing: tuple[float, ...]) -> None:
    hu, truth = chest
    seen: list[float] = []
    lungs = segment_chest_by_network(hu, SPACING, volume_network(_Dark(), spacing_mm=spacing), seen.append).lungs
    assert 2 * (lungs & truth).sum() / (lungs.sum() + truth.sum()) > 0.95
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) > 4


def test_at_its_own_spacing_nothing_moves(chest: Any) -> None:
    hu, truth = chest
    network = volume_network(_Dark(), orientation="SPL", patch=(8, 32, 32), spacing_mm=SPACING)
    found = run_volume(network, hu, SPACING)
    expected = 0.5 - (np.clip(hu, -1000, 200) + 1000) / 1200
    np.testing.assert_allclose(found[0], expected, atol=1e-5)
    assert np.array_equal(found[0] > 0, truth)


def test_a_flipped_view_of_a_scan_is_taken(chest: Any) -> None:
    hu, _ = chest
    # The block's size is a whole number of coarse voxels, so that the coarse grid is the same from both ends.
    network = volume_network(_Dark(), orientation="SPL", patch=(8, 32, 32), spacing_mm=(10.0, 6.0, 4.0))
    there = run_volume(network, hu[::-1, :, ::-1], SPACING)[0]
    np.testing.assert_allclose(there[::-1, :, ::-1], run_volume(network, hu, SPACING)[0], atol=1e-4)


def test_opacities_are_found_in_the_box_of_the_lungs(chest: Any) -> None:
    hu, truth = chest
    hu[8:12, 24:40, 20:36] = -500
    hu[8:12, 30:46, 62:76] = -50
    lungs = truth.astype(np.uint8)
    bands = volume_network(
        _Bands(),
        role="opacities",
        channels=("background", "ggo", "consolidation"),
        window_hu=(-1000, 0),
        orientation="LPS",
        patch=(32, 32, 8),
        spacing_mm=(2.0, 3.0, 5.0),
    )
    seen: list[float] = []
    found = segment_opacities(hu, lungs, SPACING, bands, seen.append)
    assert found.dtype == np.uint8
    assert (found[8:12, 24:40, 20:36] == 1).all()
    assert (found[8:12, 30:46, 62:76] == 2).all()
    assert not found[~truth].any()
    assert seen[-1] == 1.0


def test_the_caller_can_stop_between_patches(chest: Any) -> None:
    def stop(share: float) -> None:
        raise InterruptedError(share)

    with pytest.raises(InterruptedError):
        run_volume(volume_network(_Dark()), chest[0], SPACING, progress=stop)
