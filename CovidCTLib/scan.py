"""A CT as it was read: HU on its own grid, with facts that are no patient data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.errors import InputError, Notice
from CovidCTLib.geometry import Geometry
from CovidCTLib.hu import LOWEST_HU

if TYPE_CHECKING:
    import SimpleITK as sitk

MIN_SLICES = 2
"""Fewer slices make no volume."""

MIN_IN_PLANE = 16
"""Smallest number of voxels along any two axes of a scan that can hold a chest."""


@dataclass(frozen=True)
class ScanFacts:
    """Facts of the acquisition that identify nobody; ``study_date`` is filled only when the user asks for it.

    ``spacing_known`` is false where the grid's spacing is nominal (pictures of a CT), so that lengths, areas and
    volumes mean nothing. ``grid_from`` names the statement of the header that the grid was taken from, where a header
    makes several (``"sform"``, ``"qform"``, ``"--spacing"``, ...).
    """

    source_format: str = "array"
    slice_count: int | None = None
    kernel: str | None = None
    manufacturer: str | None = None
    slice_thickness_mm: float | None = None
    tube_voltage_kv: float | None = None
    study_date: str | None = None
    spacing_known: bool = True
    grid_from: str | None = None


@dataclass(frozen=True)
class Identifiers:
    """Who was scanned, as DICOM says it; read only when the user asks for it, None where the file does not say.

    Parameters
    ----------
    patient_name, patient_id
        PatientName and PatientID.
    birth_date, study_date
        PatientBirthDate and StudyDate as ``YYYY-MM-DD``.
    study_description
        StudyDescription.
    """

    patient_name: str | None = None
    patient_id: str | None = None
    birth_date: str | None = None
    study_description: str | None = None
    study_date: str | None = None


@dataclass(frozen=True)
class SourceImage:
    """One DICOM image that a scan was read from: its UIDs, its frame (from 1, None in files of one) and its place.

    ``position_lps_mm`` is ImagePositionPatient, the centre of the first pixel; None where the file does not say.
    """

    sop_class: str
    instance: str
    frame: int | None = None
    position_lps_mm: tuple[float, ...] | None = None


@dataclass(frozen=True)
class SourceSeries:
    """The DICOM series that a scan was read from; it holds patient data and is read only when the user asks for it.

    Parameters
    ----------
    header
        pydicom's data set of the first image, without pixels: patient, study, series and frame of reference.
    images
        The images in the order of the slices.
    """

    header: Any
    images: tuple[SourceImage, ...]


@dataclass(frozen=True)
class Scan:
    """A CT volume.

    Parameters
    ----------
    hu
        int16, shape ``geometry.shape_zyx``, HU. Padding and the outside of the scan circle are -1024.
    geometry
        The grid as it was given, whatever its orientation.
    facts
        Facts of the acquisition.
    notices
        What the reading found that a reader of the results must know.
    identifiers
        Who was scanned; None unless the user asked for it.
    source
        The DICOM series, for results that go back into its study; None unless the user asked for it. It is never shown.
    frame_of_reference
        DICOM's FrameOfReferenceUID, by which a segmentation of another scan is told; None where there is none. It is
        only compared, and never shown or written.
    """

    hu: NDArray[np.int16]
    geometry: Geometry
    facts: ScanFacts = field(default_factory=ScanFacts)
    notices: tuple[Notice, ...] = ()
    identifiers: Identifiers | None = None
    source: SourceSeries | None = field(default=None, repr=False, compare=False)
    frame_of_reference: str | None = field(default=None, repr=False, compare=False)

    @classmethod
    def from_array(
        cls,
        hu: NDArray[Any],
        geometry: Geometry | None = None,
        facts: ScanFacts | None = None,
        notices: tuple[Notice, ...] = (),
    ) -> Scan:
        """Check an array of HU and make it a scan.

        Parameters
        ----------
        hu
            Shape ``(z, y, x)``, integers or floats in HU. It is copied only if it must be converted or cleaned.
        geometry
            Grid of the array; without it, voxels of 1 mm, canonical orientation.

        Raises
        ------
        InputError
            If the array is not three-dimensional, not real numbers, holds NaN or infinity, is constant, too small, or
            of another shape than the geometry.
        """
        if hu.ndim != 3:
            raise InputError(
                f"A CT volume with three dimensions was expected, but this has {hu.ndim} (shape {hu.shape}). "
                "Give one 3D scan: not a single picture, a colour image or a time series."
            )
        if hu.dtype == np.bool_ or hu.dtype.kind not in "iuf":
            raise InputError(
                f"HU must be real numbers, but the voxels are {hu.dtype}. Give the CT, not a mask or colours."
            )
        if sum(size >= MIN_IN_PLANE for size in hu.shape) < 2 or min(hu.shape) < MIN_SLICES:
            raise InputError(
                f"A CT volume needs at least {MIN_SLICES} slices of {MIN_IN_PLANE} x {MIN_IN_PLANE} voxels, but this "
                f"is {' x '.join(str(s) for s in hu.shape[::-1])}. Give the whole scan."
            )
        grid = geometry if geometry is not None else Geometry((hu.shape[0], hu.shape[1], hu.shape[2]))
        if grid.shape_zyx != hu.shape:
            raise InputError(
                f"The array has shape {hu.shape}, but its grid says {grid.shape_zyx}. Give the grid of this array."
            )
        if hu.dtype.kind == "f" and not np.isfinite(hu).all():
            count = int(np.size(hu) - np.isfinite(hu).sum())
            raise InputError(
                f"All voxels must be finite HU, but {count} are NaN or infinite. Export the scan again, or replace "
                "them by -1024 (air)."
            )
        low, high = hu.min(), hu.max()
        if low == high:
            raise InputError(f"All voxels have the same value ({low}), so this is not a CT. Check the export.")
        if low >= LOWEST_HU and high <= np.iinfo(np.int16).max and hu.dtype == np.int16:
            clean = hu
        else:
            limited = np.clip(hu, LOWEST_HU, np.iinfo(np.int16).max)
            clean = (np.rint(limited) if hu.dtype.kind == "f" else limited).astype(np.int16, copy=False)
        return cls(clean, grid, facts if facts is not None else ScanFacts(slice_count=hu.shape[0]), notices)

    @classmethod
    def from_image(cls, image: sitk.Image, facts: ScanFacts | None = None) -> Scan:
        """Check a SimpleITK image in HU and make it a scan.

        Raises
        ------
        InputError
            If it is not 3D, has colour channels, or its voxels fail `from_array`'s checks.
        """
        if image.GetNumberOfComponentsPerPixel() != 1:
            raise InputError(
                f"A CT has one value a voxel, but this image has {image.GetNumberOfComponentsPerPixel()} (colour?). "
                "Give the original CT."
            )
        if image.GetDimension() != 3:
            raise InputError(
                f"A 3D CT was expected, but this image has {image.GetDimension()} dimensions "
                f"({' x '.join(str(s) for s in image.GetSize())}). Give one 3D scan."
            )
        import SimpleITK as sitk

        return cls.from_array(sitk.GetArrayFromImage(image), Geometry.from_image(image), facts)
