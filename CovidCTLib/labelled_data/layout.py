"""The training folder: which files belong together, what their labels mean, and whose they are.

Anywhere below the folder, in any number:

``NAME_ct.nii.gz`` with masks, each of which may be missing
    A CT volume in HU with masks on the same grid: ``NAME_lungs.nii.gz`` (1 = lung, 255 = not labelled),
    ``NAME_opacities.nii.gz`` (1 GGO, 2 consolidation) or ``NAME_infection.nii.gz`` (1, kind not told),
    ``NAME_effusion.nii.gz`` (1 = pleural effusion). ``NAME_slices.csv`` (``slice_index,abnormal``) may stand for the
    masks. A folder ``NAME`` of DICOM files beside a ``NAME_slices.csv`` (``slice_location_mm,abnormal``)
    is the same. In a CT whose name begins with ``normal`` every slice is normal; one whose name begins with a word of
    `OTHER_DISEASES` or with ``cap`` shows no COVID-19.
``FOLDER/images/*.png`` and ``FOLDER/labels/*.png`` (same names)
    Single axial slices as 8-bit pictures. With ``FOLDER/slices.csv`` (``slice,patient,air_value,soft_tissue_value``)
    the grey values are calibrated and the labels are 1 lung, 2 infection; without it, or with ``slice,patient`` alone,
    they are 1 GGO, 2 consolidation, in pictures of unknown contrast.
``*.npz`` with ``image_hu``, ``lungs``, ``slice_id``
    Single axial slices in HU with lung masks; the patient is ``slice_id`` up to the last ``_Z_``.

For users it is described in ``docs/training.md``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from CovidCTLib.errors import TrainingDataError
from CovidCTLib.labelled_data.labelled import patients_of
from CovidCTLib.labelled_data.near_misses import refuse_broken_links, refuse_near_misses, visible
from CovidCTLib.labelled_data.tables import columns_of, one_form
from CovidCTLib.labelled_data.training_case import (
    CALIBRATION_COLUMNS,
    OTHER_DISEASES,
    OTHER_PNEUMONIA,
    PATIENT_COLUMNS,
    Kind,
    TrainingCase,
    TrainingFolder,
    pictures_in,
    says_normal,
    says_other_disease,
    says_other_pneumonia,
)

__all__ = [
    "CALIBRATION_COLUMNS",
    "OTHER_DISEASES",
    "OTHER_PNEUMONIA",
    "PATIENT_COLUMNS",
    "Kind",
    "TrainingCase",
    "TrainingFolder",
    "find_cases",
    "pictures_in",
    "says_normal",
    "says_other_disease",
    "says_other_pneumonia",
]

_OF_A_RUN = re.compile(r"slices-(body|lungs)-[0-9a-f]{16}(\.[0-9a-f-]+\.part)?\.npz")
"""Slices that a run of ``covidct train`` keeps in its folder ``cache/``; they are no case, wherever the run stands."""


def find_cases(
    root: Path,
    same_patient: Sequence[tuple[str, str]] = (),
    reversed_tables: Sequence[str] = (),
    no_effusion: Sequence[str] = (),
) -> TrainingFolder:
    """Find everything that can be trained on below a folder.

    Parameters
    ----------
    root
        The training folder.
    same_patient
        Pairs of names that are of one patient, who never comes into different splits: two volumes, or a volume and a
        patient of single slices.
    reversed_tables
        Names of volumes whose slice tables were written from the wrong end, as looking at the slices shows.
    no_effusion
        Names of volumes that show no pleural effusion, as looking at them shows.

    Raises
    ------
    TrainingDataError
        If the folder is missing, holds nothing of the layout or what is almost of it, a link leads nowhere, a CT has no
        labels, a picture has no label, two cases have one name, or `same_patient`, `reversed_tables` or `no_effusion`
        names no such volume, or one with an effusion mask.
    """
    if not root.is_dir():
        raise TrainingDataError(
            f"A folder of cases was expected at {root}, but there is none. Give the folder that holds them."
        )
    refuse_broken_links(root)
    same_patient = [(one_form(first), one_form(second)) for first, second in same_patient]
    reversed_tables = [one_form(name) for name in reversed_tables]
    volumes = [*_volumes(root), *_dicom_folders(root)]
    used = {path for c in volumes for path in (c.image, *c.masks, c.slice_table) if path}
    refuse_near_misses(root, used, {(c.image.parent, c.name) for c in volumes if c.image.is_file()})
    _check_labelled(root, volumes)
    cases = [*volumes, *_picture_folders(root), *_archives(root)]
    if not cases:
        raise TrainingDataError(
            f"No case was found below {root}: expected NAME_ct.nii.gz with NAME_lungs.nii.gz or "
            "NAME_opacities.nii.gz, folders with images/ and labels/, or .npz archives. See 'covidct train --help'."
        )
    _check_same_patient(root, cases, same_patient)
    with_table = {case.name for case in cases if case.slice_table and case.kind == "volume"}
    for name in sorted(set(reversed_tables) - with_table):
        raise TrainingDataError(
            f"There is no volume named {name} with a slice table below {root}, but --reversed-table names it. "
            "Correct the name."
        )
    no_effusion = [one_form(name) for name in no_effusion]
    _check_no_effusion(root, cases, no_effusion)
    cases = [
        replace(case, table_reversed=case.name in reversed_tables, no_effusion=case.name in no_effusion)
        for case in cases
    ]
    if len({case.name for case in cases}) < len(cases):
        seen: set[str] = set()
        twice = next(case.name for case in cases if case.name in seen or seen.add(case.name))  # type: ignore[func-returns-value]
        raise TrainingDataError(f"Two cases are named {twice}. Rename one, so that splits by patient stay clear.")
    return TrainingFolder(root, tuple(sorted(_with_patients(cases, same_patient), key=lambda case: case.name)))


def _check_same_patient(root: Path, cases: list[TrainingCase], same_patient: Sequence[tuple[str, str]]) -> None:
    """Refuse pairs that do not name two volumes, or a volume and whose single slices are."""
    kinds = {case.name: case.kind for case in cases}
    names = {name for pair in same_patient for name in pair}
    if not names:
        return
    owners = _owners_of_slices(cases) if any(name not in kinds for name in names) else frozenset()
    for pair in same_patient:
        for name in sorted(pair):
            if name in kinds and kinds[name] != "volume":
                raise TrainingDataError(
                    f"--same-patient takes names of volumes, but {name} holds single slices ({kinds[name]}). Name the "
                    "patient of each slice in their slices.csv or slice_id instead, as docs/training.md says."
                )
            if name not in kinds and name not in owners:
                raise TrainingDataError(
                    f"There is no volume named {name} below {root}, but --same-patient names it. Correct the name."
                )
        if not any(name in kinds for name in pair):
            raise TrainingDataError(
                f"--same-patient must name a volume, but {' and '.join(pair)} are both patients of single slices. Give "
                "them one name in their slices.csv or slice_id instead."
            )


def _owners_of_slices(cases: list[TrainingCase]) -> frozenset[str]:
    """Patients that the tables of single slices name."""
    return frozenset(owner for case in cases if case.kind != "volume" for owner in patients_of(case))


def _with_patients(cases: list[TrainingCase], same_patient: Sequence[tuple[str, str]]) -> list[TrainingCase]:
    """Give scans of one patient the same patient, also where they are named in a chain of pairs."""
    patient = {case.name: case.patient for case in cases}
    patient.update({name: name for pair in same_patient for name in pair if name not in patient})
    for first, second in same_patient:
        kept, gone = patient[first], patient[second]
        patient = {name: kept if owner == gone else owner for name, owner in patient.items()}
    aliases = tuple(sorted((name, owner) for name, owner in patient.items() if name != owner))
    return [replace(case, patient=patient[case.name], aliases=aliases) for case in cases]


def _check_no_effusion(root: Path, cases: list[TrainingCase], names: Sequence[str]) -> None:
    """Refuse names that are no volumes, or have a mask of what they are said not to show."""
    volumes = {case.name: case for case in cases if case.kind == "volume"}
    for name in sorted(set(names)):
        if name not in volumes:
            raise TrainingDataError(
                f"There is no volume named {name} below {root}, but --no-effusion names it. Correct the name."
            )
        if volumes[name].effusion:
            raise TrainingDataError(
                f"{name} has a mask of pleural effusion, but --no-effusion says that it shows none. Take one of them "
                "out."
            )


def _volumes(root: Path) -> list[TrainingCase]:
    """NIfTI volumes with their masks."""
    cases = []
    for image in visible(root, "*_ct.nii.gz"):
        stem = image.name.removesuffix("_ct.nii.gz")
        name = one_form(stem)
        cases.append(
            TrainingCase(
                name,
                "volume",
                image,
                name,
                lungs=_if_there(image.with_name(f"{stem}_lungs.nii.gz")),
                opacities=_if_there(image.with_name(f"{stem}_opacities.nii.gz")),
                infection=_if_there(image.with_name(f"{stem}_infection.nii.gz")),
                effusion=_if_there(image.with_name(f"{stem}_effusion.nii.gz")),
                slice_table=_if_there(image.with_name(f"{stem}_slices.csv")),
                all_normal=says_normal(name),
            )
        )
    return cases


def _check_labelled(root: Path, volumes: list[TrainingCase]) -> None:
    """Refuse a CT of which nothing is known."""
    for case in volumes:
        if not (case.masks or case.slice_table or case.all_normal or says_other_disease(case.name)):
            raise TrainingDataError(
                f"The CT {case.image.relative_to(root)} has nothing that says what it shows. Put "
                f"{case.name}_lungs.nii.gz, {case.name}_opacities.nii.gz, {case.name}_infection.nii.gz, "
                f"{case.name}_effusion.nii.gz or {case.name}_slices.csv beside it, or take it out of the folder."
            )


def _dicom_folders(root: Path) -> list[TrainingCase]:
    """DICOM folders whose slices are labelled by a table beside them."""
    cases = []
    for table in visible(root, "*_slices.csv"):
        folder = _if_there(table.with_name(table.name.removesuffix("_slices.csv")))
        if folder and folder.is_dir():
            name = one_form(folder.name)
            cases.append(TrainingCase(name, "volume", folder, name, slice_table=table))
    return cases


def _picture_folders(root: Path) -> list[TrainingCase]:
    """Folders of single slices as pictures."""
    cases = []
    for images in (p for p in visible(root, "images") if p.is_dir()):
        folder = images.parent
        image_names, label_names = ({p.name for p in pictures_in(folder / d)} for d in ("images", "labels"))
        if not image_names | label_names:
            # A folder as any other, of CTs perhaps.
            continue
        for name in sorted(image_names ^ label_names):
            has, lacks = ("image", "label") if name in image_names else ("label", "image")
            raise TrainingDataError(f"The {has} {folder.relative_to(root)}/.../{name} has no {lacks} of the same name.")
        table = _if_there(folder / "slices.csv")
        kind = _kind_of_pictures(folder, table)
        name = one_form(folder.name)
        cases.append(TrainingCase(name, kind, folder, name, slice_table=table))
    return cases


def _kind_of_pictures(folder: Path, table: Path | None) -> Kind:
    """Tell calibrated pictures from photographs by the columns of their table."""
    columns = {name for name in columns_of(table) if name} if table else set(PATIENT_COLUMNS)
    if columns == set(PATIENT_COLUMNS):
        return "photographs"
    if columns.intersection(CALIBRATION_COLUMNS[len(PATIENT_COLUMNS) :]):
        return "calibrated pictures"
    raise TrainingDataError(
        f"{folder.name}/slices.csv must have the columns {', '.join(CALIBRATION_COLUMNS)} (calibrated pictures), or "
        f"{' and '.join(PATIENT_COLUMNS)} alone (photographs), but has neither. Name its columns so in the first line."
    )


def _archives(root: Path) -> list[TrainingCase]:
    """Archives of slices in HU."""
    paths = [
        path for path in visible(root, "*.npz") if not (path.parent.name == "cache" and _OF_A_RUN.fullmatch(path.name))
    ]
    return [TrainingCase(one_form(path.stem), "slice archive", path, one_form(path.stem), lungs=path) for path in paths]


def _if_there(path: Path) -> Path | None:
    """Find a file or folder, in whichever Unicode form its name is written."""
    if path.exists():
        return path
    if path.name.isascii():
        return None
    same = sorted(other for other in path.parent.iterdir() if one_form(other.name) == one_form(path.name))
    return same[0] if same else None
