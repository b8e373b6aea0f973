"""A study in the queue on disk: its folder, and what the folder's name and parts say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

IMAGES, RESULTS = "images", "results"


@dataclass(frozen=True)
class Job:
    """A study that has come to rest.

    Parameters
    ----------
    folder
        Its folder under ``work``.
    """

    folder: Path

    @property
    def number(self) -> int:
        """Place in the order of arrival, from 1."""
        return int(self.folder.name.partition("-")[0])

    @property
    def key(self) -> str:
        """Hash of the study."""
        return self.folder.name.partition("-")[2]

    @property
    def name(self) -> str:
        """What the log calls it; nothing of the patient."""
        return f"study {self.number}"

    @property
    def images(self) -> Path:
        """Folder of its images."""
        return self.folder / IMAGES

    @property
    def results(self) -> Path:
        """Folder of its results; where it is, the analysis is over."""
        return self.folder / RESULTS

    @property
    def analyzed(self) -> bool:
        """Whether the analysis is over, with results or without."""
        return self.results.is_dir()
