"""A case of a training folder: files that belong together, and what their names say of the disease."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PATIENT_COLUMNS = ("slice", "patient")
"""Columns of the table of photographs; it has no others."""

CALIBRATION_COLUMNS = (*PATIENT_COLUMNS, "air_value", "soft_tissue_value")
"""Columns that the table of calibrated pictures must have."""

OTHER_DISEASES = ("cancer", "effusion", "other")
"""First words of the names of CTs of patients with another disease than pneumonia: nothing in them is like COVID-19, so
they show the classifier and the opacity network what to leave alone."""

OTHER_PNEUMONIA = "cap"
"""First word of the names of CTs with a pneumonia that is not COVID-19: no slice of theirs is like COVID-19, but they
have opacities, which only a mask or a table tells from lung."""

Kind = Literal["volume", "calibrated pictures", "photographs", "slice archive"]


@dataclass(frozen=True)
class TrainingCase:
    """Files that belong together.

    Parameters
    ----------
    name
        Name of the case, unique in the folder.
    kind
        What the files are.
    image
        NIfTI file, DICOM folder, archive, or folder that holds ``images/``.
    lungs, opacities, infection, effusion, slice_table
        Mask files and table, where there are such.
    patient
        Patient of a volume; pictures and archives hold many patients and say whose each slice is.
    all_normal
        Every slice is known to be without disease.
    table_reversed
        The labels of the slice table stand in the opposite order: its first one belongs to the last slice.
    no_effusion
        The CT is known to show no pleural effusion.
    aliases
        Names of volumes whose scans got another volume's patient, each with that patient: single slices may name
        them as their patient, too.
    """

    name: str
    kind: Kind
    image: Path
    patient: str
    lungs: Path | None = None
    opacities: Path | None = None
    infection: Path | None = None
    effusion: Path | None = None
    slice_table: Path | None = None
    all_normal: bool = False
    table_reversed: bool = False
    no_effusion: bool = False
    aliases: tuple[tuple[str, str], ...] = ()

    @property
    def masks(self) -> tuple[Path, ...]:
        """The mask files that there are."""
        return tuple(p for p in (self.lungs, self.opacities, self.infection, self.effusion) if p)

    @property
    def not_covid(self) -> bool:
        """Whether the name says that the patient has another disease, or none."""
        return self.all_normal or says_other_disease(self.name) or says_other_pneumonia(self.name)


@dataclass(frozen=True)
class TrainingFolder:
    """All cases of a training folder, in the order of their names."""

    root: Path
    cases: tuple[TrainingCase, ...]


def says_other_disease(name: str) -> bool:
    """Whether the name of a CT says that the patient has another disease than pneumonia."""
    return name.lower().startswith(OTHER_DISEASES)


def says_other_pneumonia(name: str) -> bool:
    """Whether the name of a CT says that it shows a pneumonia that is not COVID-19."""
    return name.lower().startswith(OTHER_PNEUMONIA)


def says_normal(name: str) -> bool:
    """Whether the name of a CT or picture says that it shows no disease."""
    return name.lower().startswith("normal")


def pictures_in(folder: Path) -> list[Path]:
    """List the PNG files in a folder, not below it, without hidden ones, in the order of their names."""
    return sorted(path for path in folder.glob("*.png") if not path.name.startswith("."))
