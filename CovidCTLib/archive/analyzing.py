"""From the images of a received study to its DICOM results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from CovidCTLib.errors import CovidCTError, InputError, QualityError
from CovidCTLib.options import Options


class StudyLeftError(CovidCTError):
    """The study is no chest CT that can be analyzed; it is left, with the reason."""


Analyzer = Callable[[Path, Path], str]
"""Given the folder of the images and an empty one for the results; gives a line for the log. Raises `StudyLeftError`
for what is no chest CT, and any other error for what failed."""

MIN_IMAGES = 10
"""CT images under which a study is left alone: localizers and bolus tracking have fewer."""


MOST_SLICES = 2000
"""CT slices of 512 x 512 pixels, or as many pixels of other sizes, over which a study is left: a chest has some
hundreds, and memory grows with them."""

_SLICE_PIXELS = 512 * 512


@dataclass(frozen=True)
class StudyAnalyzer:
    """Analyzes a study with the networks.

    Parameters
    ----------
    options
        How.
    models
        Own networks; None takes those that come with CovidCT.
    labelmap
        Whether segmentations are label maps.
    most_slices
        As `MOST_SLICES`.
    """

    options: Options
    models: object | None = None
    labelmap: bool = False
    most_slices: int = MOST_SLICES

    def __call__(self, images: Path, results: Path) -> str:
        """Analyze the images of a folder, and write the DICOM results into another.

        Raises
        ------
        StudyLeftError
            If the study holds no chest CT.
        CovidCTError
            If it could not be analyzed.
        """
        from CovidCTLib.dicom_results import study_of, write_objects
        from CovidCTLib.pipeline import analyze
        from CovidCTLib.reading import read_scan

        count = sum(1 for path in images.iterdir() if path.suffix == ".dcm")
        if count == 0:
            raise StudyLeftError("It holds no CT image.")
        try:
            scan = read_scan(images, with_source=True)
            if scan.geometry.shape_zyx[0] < MIN_IMAGES:
                raise StudyLeftError(f"Its CT has {scan.geometry.shape_zyx[0]} slices, fewer than {MIN_IMAGES}.")
            if scan.hu.size > self.most_slices * _SLICE_PIXELS:
                raise StudyLeftError(
                    f"Its CT has {' x '.join(str(size) for size in scan.geometry.shape_zyx[::-1])} voxels, more than "
                    f"{self.most_slices} slices of 512 x 512. Raise --max-slices where there is memory for it."
                )
            analysis = analyze(scan, self.options, models=self.models)  # type: ignore[arg-type]
        except (InputError, QualityError) as error:
            raise StudyLeftError(str(error)) from error
        written = write_objects(study_of(analysis), results, "labelmap" if self.labelmap else "binary")
        return f"analyzed, {scan.geometry.shape_zyx[0]} slices, {len(written)} objects"


def write_failure(images: Path, results: Path, reason: str) -> bool:
    """Write a DICOM SR that says why a study was not analyzed.

    Parameters
    ----------
    images, results
        Folders of the images and for the SR.
    reason
        A sentence without patient data.

    Returns
    -------
    bool
        Whether it could be written: not where no image says whose study it is.
    """
    from CovidCTLib.dicom_results.documents import failure_document
    from CovidCTLib.reading.dicom_source import source_of_file

    for path in sorted(images.glob("*.dcm")):
        source = source_of_file(path)
        if source is not None:
            failure_document(source, reason).save_as(results / "failure.dcm", enforce_file_format=True)
            return True
    return False
