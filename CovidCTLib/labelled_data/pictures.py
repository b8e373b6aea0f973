"""Single axial slices of a training folder as 8-bit pictures: calibrated ones, and photographs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from CovidCTLib.errors import TrainingDataError
from CovidCTLib.hu import AIR_HU, NETWORK_HIGH_HU, NETWORK_LOW_HU
from CovidCTLib.labelled_data.images import INFECTION, UNKNOWN, LabelledImage
from CovidCTLib.labelled_data.layout import CALIBRATION_COLUMNS, PATIENT_COLUMNS, TrainingCase, pictures_in, says_normal
from CovidCTLib.labelled_data.tables import TableRow, read_table
from CovidCTLib.photos.automatic import evidence_of, references_from
from CovidCTLib.photos.references import to_hu

SOFT_TISSUE_HU = 45
"""HU of the soft-tissue reference of calibrated pictures (muscle, unenhanced)."""

PHOTOGRAPH_PIXELS = 512
"""Tissues are looked for in photographs of about this many pixels along the longer side; larger ones are thinned."""

PICTURE_SPACING_MM = (1.0, 1.0, 1.0)
"""Nominal spacing of pictures, whose true one is not known."""


def picture_patients(case: TrainingCase) -> set[str]:
    """Say whose the pictures of a case are, without reading them.

    Parameters
    ----------
    case
        A case of the kind "calibrated pictures" or "photographs".

    Raises
    ------
    TrainingDataError
        If the table cannot be read, or lacks a picture or its patient.
    """
    table = _table(case)
    return {_patient(case, path.stem, table) for path in _pictures(case)}


def picture_readers(case: TrainingCase) -> list[tuple[str, Callable[[], LabelledImage]]]:
    """Say how each picture of a case is read, so that one that cannot be does not keep the others from it.

    Parameters
    ----------
    case
        A case of the kind "calibrated pictures" or "photographs".

    Returns
    -------
    list
        The name of each picture, and what reads it. It raises `TrainingDataError` if the picture or its label cannot be
        read, the label has another shape than its picture or labels out of range, is empty or contradicts the picture's
        name, or the table lacks the picture or holds wrong values for it.

    Raises
    ------
    TrainingDataError
        If the table cannot be read, or names a picture twice.
    """
    table = _table(case)
    return [(path.stem, partial(_read_labelled, case, path, table)) for path in _pictures(case)]


def _read_labelled(case: TrainingCase, path: Path, table: Mapping[str, TableRow]) -> LabelledImage:
    """Read one picture with its label."""
    grey = _read(path)
    label = _read(case.image / "labels" / path.name)
    if label.shape != grey.shape or label.max() > 2:
        raise TrainingDataError(
            f"The label {case.name}/labels/{path.name} must have the picture's shape {grey.shape} and values 0 "
            f"to 2, but has {label.shape} and values up to {label.max()}. Correct the label."
        )
    patient = _patient(case, path.stem, table)
    infection = label == 2 if case.kind == "calibrated pictures" else label > 0
    _check_painted(case, path, label, bool(infection.any()))
    if case.kind == "calibrated pictures":
        air, tissue = _references(table[path.stem])
        hu = (grey.astype(np.float32) - air) * ((SOFT_TISSUE_HU - AIR_HU) / (tissue - air)) + AIR_HU
        lungs = (label > 0).astype(np.uint8)
        opacities = np.where(infection, INFECTION, 0).astype(np.uint8)
    else:
        hu = photograph_hu(grey)
        lungs = np.full(label.shape, UNKNOWN, np.uint8)
        opacities = label
    abnormal = np.asarray([infection.any()], np.int8)
    return LabelledImage(path.stem, patient, hu[None], lungs[None], opacities[None], abnormal, PICTURE_SPACING_MM)


def photograph_hu(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn a photograph of a slice into HU by the tissues in it, as ``covidct photos --auto`` does.

    Parameters
    ----------
    grey
        Shape ``(y, x)``, from black to white.

    Returns
    -------
    ndarray
        float32, same shape. Where no tissues are recognized the grey values span the networks' range as they are.
    """
    step = max(1, round(max(grey.shape) / PHOTOGRAPH_PIXELS))
    grey = grey.astype(np.float32)
    references = references_from([evidence_of(np.ascontiguousarray(grey[::step, ::step]))])[0]
    if isinstance(references, str):
        return grey * ((NETWORK_HIGH_HU - NETWORK_LOW_HU) / 255) + NETWORK_LOW_HU
    return to_hu(grey, references)


def groups_notice(cases: Iterable[TrainingCase]) -> str:
    """Say of which photographs it is not known whose they are, and what counts as a patient there.

    Parameters
    ----------
    cases
        Cases of any kind.

    Returns
    -------
    str
        A sentence; empty where there are no such photographs.
    """
    names = [case.name for case in cases if case.kind == "photographs" and not case.slice_table]
    if not names:
        return ""
    return (
        f"Whose the photographs of {', '.join(names)} are is not known: those whose names differ in the last character "
        "only count as one patient."
    )


def _pictures(case: TrainingCase) -> list[Path]:
    """Files of a case of pictures, in the order of their names."""
    return pictures_in(case.image / "images")


def _read(path: Path) -> NDArray[np.uint8]:
    what = "label" if path.parent.name == "labels" else "picture"
    try:
        picture = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    except RuntimeError as error:
        raise TrainingDataError(f"The {what} {path.name} cannot be read. Export it again as 8-bit PNG.") from error
    if picture.ndim != 2 or picture.dtype != np.uint8:
        raise TrainingDataError(
            f"The {what} {path.name} must be 8-bit grey, but is {picture.dtype} {picture.shape}. Save it so."
        )
    return np.asarray(picture)


def _check_painted(case: TrainingCase, path: Path, label: NDArray[np.uint8], infected: bool) -> None:
    """Refuse labels in which nothing was painted, and infections where the name says that there are none."""
    where = f"The label {case.name}/labels/{path.name}"
    if infected and says_normal(path.stem):
        raise TrainingDataError(
            f"{where} must show no opacities, as a name that begins with 'normal' says that there are none, but some "
            "are painted. Rename the picture and its label, or correct the label."
        )
    if label.any():
        return
    if case.kind == "calibrated pictures":
        raise TrainingDataError(f"{where} is empty, but must mark the lungs (1). Paint them, or take the picture out.")
    if not says_normal(path.stem):
        raise TrainingDataError(
            f"{where} is empty. If the picture shows no disease, let its name begin with 'normal'; else paint its "
            "opacities, or take the picture out."
        )


def _table(case: TrainingCase) -> dict[str, TableRow]:
    """Read the table of the pictures by the name of the picture; empty where there is none."""
    if not case.slice_table:
        return {}
    columns = CALIBRATION_COLUMNS if case.kind == "calibrated pictures" else PATIENT_COLUMNS
    table: dict[str, TableRow] = {}
    for row in read_table(case.slice_table, columns, f"{case.name}/slices.csv"):
        stem = row.text("slice").removesuffix(".png")
        if stem in table:
            raise TrainingDataError(f"{row.location} names a picture that another line names too. Leave one of them.")
        table[stem] = row
    return table


def _patient(case: TrainingCase, stem: str, table: Mapping[str, TableRow]) -> str:
    """Say whose a picture is."""
    if not case.slice_table:
        # Neighbours in number may be one patient: tens are kept together.
        return f"{case.name}-{stem[:-1]}"
    if stem not in table:
        raise TrainingDataError(
            f"{stem}.png is missing in {case.name}/slices.csv. Add a line for it; its 'slice' is the name of the "
            "picture without .png, with every leading zero."
        )
    return table[stem].text("patient")


def _references(row: TableRow) -> tuple[float, float]:
    """Read the grey values of air and of soft tissue."""
    air, tissue = row.number("air_value"), row.number("soft_tissue_value")
    if not tissue > air:
        raise TrainingDataError(
            f"{row.location}: soft_tissue_value must be above air_value, but they are {tissue:g} and {air:g}. Correct "
            "them."
        )
    return air, tissue
