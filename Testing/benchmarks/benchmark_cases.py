"""The shared CTs by name, with their masks, in the canonical orientation; used by the benchmarks beside it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from CovidCTLib.geometry import CanonicalGrid, Geometry
from CovidCTLib.hu import LOWEST_HU
from CovidCTLib.models.card import ModelCard
from CovidCTLib.models.store import ModelStore

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
LEAST_DISEASE = 0.001
"""Share of the lungs under which Dice of opacities says nothing (case_06 has a single spot)."""


@dataclass(frozen=True)
class Case:
    """A CT with its masks; a control has none. Arrays are canonical axial, ``geometry`` is their grid."""

    name: str
    hu: NDArray[np.int16]
    geometry: Geometry
    lungs: NDArray[np.bool_] | None = None
    opacities: NDArray[np.bool_] | None = None

    @property
    def diseased(self) -> bool:
        """Whether there is enough labelled opacity for Dice."""
        if self.lungs is None or self.opacities is None:
            return False
        return bool(self.opacities.sum() >= LEAST_DISEASE * self.lungs.sum())


def read_case(name: str, data: Path) -> Case:
    """Read ``NAME_ct.nii.gz`` and its masks from the folders ``volumes`` or ``controls`` of the shared data."""
    paths = [data / folder / f"{name}_ct.nii.gz" for folder in ("volumes", "controls", ".")]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        raise SystemExit(
            f"There is no {name}_ct.nii.gz in {data}. Give --data and names such as case_01 or normal_001."
        )
    image = sitk.ReadImage(str(path), sitk.sitkInt16)
    grid = CanonicalGrid(Geometry.from_image(image))
    masks = {}
    for kind in ("lungs", "opacities"):
        file = path.with_name(f"{name}_{kind}.nii.gz")
        if file.exists():
            masks[kind] = grid.take(sitk.GetArrayFromImage(sitk.ReadImage(str(file))), 0) > 0
    hu = np.maximum(grid.take(sitk.GetArrayFromImage(image), LOWEST_HU), LOWEST_HU)
    return Case(name, hu, grid.geometry, masks.get("lungs"), masks.get("opacities"))


def add_arguments(parser: argparse.ArgumentParser, cases: list[str]) -> None:
    """Add what both benchmarks take."""
    parser.add_argument("--data", type=Path, default=SHARED, help="folder of the shared data")
    parser.add_argument("--cases", nargs="+", default=cases, help="names such as case_01 or normal_001")
    parser.add_argument("--models", type=Path, nargs="+", default=None, help="folders with own models")
    parser.add_argument("--threads", type=int, default=2)


def open_store(arguments: argparse.Namespace) -> ModelStore:
    """Make the store of the networks that the command line names."""
    return ModelStore(arguments.models, device="cpu")


def was_seen(card: ModelCard, case: str) -> bool:
    """Whether a model's card says that it was trained on a case; false where it does not say."""
    return case in card.training.get("cases", ())


def dice(found: NDArray[Any], truth: NDArray[Any]) -> float:
    """Dice of two masks; 1 where both are empty."""
    found, truth = found > 0, truth > 0
    total = int(found.sum()) + int(truth.sum())
    return 1.0 if total == 0 else 2 * int((found & truth).sum()) / total


def percent(part: NDArray[Any], whole: NDArray[Any]) -> float:
    """Share of a mask in another, in percent; NaN where that is empty."""
    count = int((whole > 0).sum())
    return 100 * int((part > 0).sum()) / count if count else float("nan")
