"""What the controller works with: the scene, what is chosen, and what the scene gives it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from CovidCTPanel.result_files import Snapshot
from CovidCTPanel.settings import Settings
from CovidCTPanel.summary import ChangeRow


class Surfaces(Protocol):
    """Surfaces that are being made, as `CovidCTScene.surfaces.Surfaces`."""

    def steps(self) -> Iterator[float]:
        """Take the segments from the scene, piece by piece."""

    def make(self) -> None:
        """Compute, in any thread, when all steps were taken."""

    def show(self, turn: bool = True) -> None:
        """Show what was computed; with ``turn`` the 3D views turn to it."""


class Adding(Protocol):
    """Results that are being added, as `CovidCTScene.results.Adding`."""

    done: bool

    @property
    def message(self) -> str:
        """What the user should know when all is done."""

    def steps(self) -> Generator[float, None, None]:
        """Add them, a node a step; the last step shows them."""


class EditCheck(Protocol):
    """Segments that are being compared, as `CovidCTScene.edit_watch.EditCheck`."""

    stamp: Any

    @property
    def current(self) -> bool:
        """Whether the segments are still those that are compared."""

    def steps(self) -> Iterator[float]:
        """Take the segments from the scene, piece by piece."""

    def edited(self) -> bool:
        """Say, in any thread, whether they differ from those of the analysis, when all steps were taken."""


class Remeasure(Protocol):
    """Segments that are being measured again, as `CovidCTScene.remeasure.Remeasure`."""

    @property
    def current(self) -> bool:
        """Whether the segments are still those that were measured."""

    def steps(self) -> Iterator[float]:
        """Take the segments from the scene, piece by piece."""

    def make(self) -> None:
        """Measure, in any thread, when all steps were taken."""

    def put(self) -> str:
        """Put the numbers into the scene, and say what the user should know of them."""


class SegmentsHandOver(Protocol):
    """A segmentation that is being written, as `CovidCTScene.segments_handover.SegmentsHandOver`."""

    @property
    def byteCount(self) -> int:
        """Size of the voxels in bytes."""

    def steps(self, path: Path) -> Iterator[float]:
        """Read and write everything, a piece a step."""


class Changes(Protocol):
    """A map of what changed that is being made, as `CovidCTScene.followup_changes.Changes`."""

    def steps(self) -> Iterator[float]:
        """Take the results from the scene, piece by piece."""

    def make(self) -> None:
        """Compute, in any thread, when all steps were taken."""

    def cancel(self) -> None:
        """Let `make` end soon."""

    def show(self) -> None:
        """Put what was computed into the scene, and show it."""


class Actions(Protocol):
    """What the controller needs of the scene; `CovidCTScene.actions.SceneActions` says what each does."""

    def has(self, volumeId: str) -> bool: ...  # noqa: D102
    def refusal(self, volumeId: str | None) -> str | None: ...  # noqa: D102
    def handOver(self, volumeId: str) -> tuple[int, Callable[[Path], Iterator[float]]]: ...  # noqa: D102
    def scanLater(self, volumeId: str) -> Callable[[], Any]: ...  # noqa: D102
    def preparing(self, volumeId: str) -> Callable[[Any], Any]: ...  # noqa: D102
    def adding(self, volumeId: str, analysis: Any, prepared: Any, edited: Callable[[], bool]) -> Adding: ...  # noqa: D102
    def replacing(self, volumeId: str) -> Iterator[float]: ...  # noqa: D102
    def hasCt(self) -> bool: ...  # noqa: D102
    def name(self, volumeId: str) -> str: ...  # noqa: D102
    def record(self, volumeId: str | None) -> dict[str, Any] | None: ...  # noqa: D102
    def snapshot(self, volumeId: str) -> Snapshot: ...  # noqa: D102
    def refusalOfDicom(self, volumeId: str) -> str | None: ...  # noqa: D102
    def sourceLater(self, volumeId: str) -> Callable[[], Any]: ...  # noqa: D102
    def hasEarlierResults(self, volumeId: str) -> bool: ...  # noqa: D102
    def earlierResultsLater(self, volumeId: str) -> Callable[[], Any]: ...  # noqa: D102
    def surfaces(self, volumeId: str) -> Surfaces | None: ...  # noqa: D102
    def is3DShown(self, volumeId: str) -> bool: ...  # noqa: D102
    def show3D(self, volumeId: str, shown: bool) -> None: ...  # noqa: D102
    def isHeatMapShown(self, volumeId: str) -> bool: ...  # noqa: D102
    def showHeatMap(self, volumeId: str, shown: bool) -> None: ...  # noqa: D102
    def applyWindow(self, volumeId: str | None, name: str) -> None: ...  # noqa: D102
    def showCt(self, volumeId: str) -> None: ...  # noqa: D102
    def heatMaps(self) -> list[str]: ...  # noqa: D102
    def watchEdits(self, volumeId: str | None, onEdit: Callable[[], None]) -> None: ...  # noqa: D102
    def editCheck(self, volumeId: str, sinceAnalysis: bool = False) -> EditCheck | None: ...  # noqa: D102
    def editSegments(self, volumeId: str) -> None: ...  # noqa: D102
    def remeasure(self, volumeId: str) -> Remeasure: ...  # noqa: D102
    def isMeasured(self, volumeId: str, segmentationId: str) -> bool: ...  # noqa: D102
    def segmentsHandOver(self, volumeId: str, segmentationId: str) -> SegmentsHandOver: ...  # noqa: D102
    def shownSlice(self, volumeId: str) -> int: ...  # noqa: D102
    def showChart(self, volumeId: str) -> None: ...  # noqa: D102
    def showTable(self, volumeId: str) -> None: ...  # noqa: D102
    def showMeasures(self, volumeId: str) -> None: ...  # noqa: D102
    def openStatistics(self, volumeId: str) -> None: ...  # noqa: D102
    def studies(self, volumeId: str | None) -> list[tuple[str, str, str, bool]]: ...  # noqa: D102
    def followUp(self, chosen: list[tuple[str, str]]) -> FollowUpSummary: ...  # noqa: D102
    def areChangesShown(self, volumeId: str | None) -> bool | None: ...  # noqa: D102
    def changes(self, volumeId: str) -> Changes | None: ...  # noqa: D102
    def showChanges(self, volumeId: str, shown: bool) -> None: ...  # noqa: D102
    def earlierFollowUp(self, volumeId: str | None) -> FollowUpSummary | None: ...  # noqa: D102


class FollowUpSummary(Protocol):
    """What the panel shows of a follow-up."""

    @property
    def sentences(self) -> Sequence[str]:
        """What changed, in words."""

    @property
    def regions(self) -> Iterable[tuple[str, Iterable[ChangeRow]]]:
        """Rows of each region, as `changeTable` takes them."""


class Choice(Protocol):
    """What the user chose at the moment."""

    def following(self) -> bool:
        """Say whether the module is open, so that what is chosen is known."""

    def volumeId(self) -> str | None:
        """Give the identifier of the chosen CT; None where none is chosen."""

    def settings(self) -> Settings:
        """Give the settings."""
