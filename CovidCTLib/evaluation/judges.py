"""Who judges whom: each patient is judged by a model that never saw it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from CovidCTLib.errors import ModelError
from CovidCTLib.models.card import ModelCard, ModelName
from CovidCTLib.models.store import ModelStore
from CovidCTLib.training.layout import TrainingCase, TrainingFolder

SHIPPED_LABEL = "shipped"
"""Label of the models that come with CovidCT."""


@dataclass(frozen=True)
class Judge:
    """A model under judgement.

    Parameters
    ----------
    label
        Name of its folder, made unique; no path.
    store
        Its folder's networks; what the folder lacks comes from the shipped ones.
    card
        Card of the model.
    """

    label: str
    store: ModelStore
    card: ModelCard

    @property
    def knows_training(self) -> bool:
        """Whether the card says what the model was trained on."""
        return "patients" in self.card.training or "cases" in self.card.training

    @property
    def chose_its_step(self) -> bool:
        """Whether its held-out patients chose among several steps of the training; not where it judged but once."""
        training = self.card.training
        once = "steps" in training and "judge_every" in training and training["judge_every"] >= training["steps"]
        return "chosen_by" in self.card.validation and not once


def load_judges(folders: Sequence[Path], name: ModelName, device: str) -> tuple[Judge, ...]:
    """Open the models of one name in several folders.

    Parameters
    ----------
    folders
        Folders with weights and cards; none takes the shipped models.
    name
        Which model is judged.
    device
        As in `CovidCTLib.models.store.ModelStore`.

    Raises
    ------
    ModelError
        If a folder lacks the model, or its card or weights are damaged.
    OptionsError
        If the device does not exist.
    """
    judges: list[Judge] = []
    for folder in folders:
        label = folder.resolve().name
        same = sum(judge.label.split(" (")[0] == label for judge in judges)
        judge = _open(ModelStore(folder, device), name, f"{label} ({same + 1})" if same else label)
        if not judge.store.network(name).own:
            raise ModelError(
                f"The models folder {label!r} has no model for {name}, so there is nothing of it to judge. Give the "
                f"folder of a run of 'covidct train {name}', or leave --models out to judge the shipped model."
            )
        judges.append(judge)
    return tuple(judges) if judges else (_open(ModelStore(None, device), name, SHIPPED_LABEL),)


def _open(store: ModelStore, name: ModelName, label: str) -> Judge:
    """Load the model now, so that damaged weights are known before hours of work."""
    return Judge(label, store, store.network(name).card)


def has_seen(card: ModelCard, case: TrainingCase, patient: str, folder: TrainingFolder) -> bool:
    """Tell whether a model was trained on a patient.

    Parameters
    ----------
    card
        The model's card: ``training["patients"]`` names its patients, ``training["cases"]`` its cases. A card without
        patients counts as having seen everybody in its cases.
    case, patient
        A patient, and the case that its images come from.
    folder
        All cases; scans of one patient stand for each other.
    """
    cases = {str(name) for name in card.training.get("cases", ())}
    patients = {str(name) for name in card.training.get("patients", ())}
    if case.kind == "volume":
        # A scan may have been trained on under the name of the patient's other scan.
        names = {patient, *(c.name for c in folder.cases if c.kind == "volume" and c.patient == patient)}
        return bool(names & (patients | cases))
    if "patients" in card.training:
        return patient in patients
    return case.name in cases


def choose_judge(
    judges: Sequence[Judge], case: TrainingCase, patient: str, folder: TrainingFolder
) -> tuple[Judge, bool]:
    """Choose the first model that never saw a patient; where all did, the first, and true for seen."""
    for judge in judges:
        if not has_seen(judge.card, case, patient, folder):
            return judge, False
    return judges[0], True
