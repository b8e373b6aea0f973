"""Who judges whom: each patient is judged by a model that never saw it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from CovidCTLib.errors import ModelError, OptionsError
from CovidCTLib.labelled_data.layout import TrainingCase, TrainingFolder
from CovidCTLib.models.card import SLICE_CHECKSUMS, ModelCard, ModelName
from CovidCTLib.models.store import LoadedNetwork, ModelStore
from CovidCTLib.training.slice_checksums import known_checksums

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
    def knows_slices(self) -> bool:
        """Whether the card tells slices that the model was trained on by more than the names of their cases."""
        return bool(self.card.training.get(SLICE_CHECKSUMS))

    @property
    def chose_its_step(self) -> bool:
        """Whether its held-out patients chose among several steps of the training; not where it judged but once."""
        training = self.card.training
        once = "steps" in training and "judge_every" in training and training["judge_every"] >= training["steps"]
        return "chosen_by" in self.card.validation and not once


def load_judges(folders: Sequence[Path], name: ModelName, device: str, lungs: Sequence[Path] = ()) -> tuple[Judge, ...]:
    """Open the models of one name in several folders.

    Parameters
    ----------
    folders
        Folders with weights and cards; none takes the shipped models.
    name
        Which model is judged.
    device
        As in `CovidCTLib.models.store.ModelStore`.
    lungs
        Folders with lung networks, such as the runs of a cross-validation, for models that look for disease within the
        lungs: every model judges with each of them. None takes the lung network in the model's folder, or the shipped
        one.

    Raises
    ------
    ModelError
        If a folder lacks the model, or its card or weights are damaged.
    OptionsError
        If the device does not exist, or lung networks are given to judge lung networks.
    """
    if lungs and name == "lungs":
        raise OptionsError(
            "--lungs names the networks that find the lungs for another model, but lung networks are judged here. Give "
            "them by --models."
        )
    models = [(label, _store(path, name, label, device)) for label, path in _labelled(folders)]
    finders = [(label, _store(path, "lungs", label, device)) for label, path in _labelled(lungs)]
    judges = []
    for label, store in models or [(SHIPPED_LABEL, ModelStore(None, device))]:
        judges += [_open(_Framed(store, finder), name, f"{label}, lungs by {by}") for by, finder in finders]
        judges += [] if finders else [_open(store, name, label)]
    return tuple(judges)


class _Framed(ModelStore):
    """Networks of one folder, with the lung network of another."""

    def __init__(self, models: ModelStore, lungs: ModelStore) -> None:
        super().__init__()
        self._models, self._lungs = models, lungs

    def card(self, name: ModelName) -> ModelCard:
        return (self._lungs if name == "lungs" else self._models).card(name)

    def network(self, name: ModelName) -> LoadedNetwork:
        return (self._lungs if name == "lungs" else self._models).network(name)


def _labelled(folders: Sequence[Path]) -> list[tuple[str, Path]]:
    """Name folders by their last part; one that comes again gets a number."""
    names = [folder.resolve().name for folder in folders]
    times = [names[:k].count(name) for k, name in enumerate(names)]
    return [
        (f"{name} ({before + 1})" if before else name, folder)
        for name, before, folder in zip(names, times, folders, strict=True)
    ]


def _store(folder: Path, name: ModelName, label: str, device: str) -> ModelStore:
    """Open a folder that was given for a model, and see that it has one."""
    store = ModelStore(folder, device)
    if not store.network(name).own:
        raise ModelError(
            f"The models folder {label!r} has no model for {name}, so there is nothing of it to judge. Give the "
            f"folder of a run of 'covidct train {name}', or leave it out to take the shipped model."
        )
    return store


def _open(store: ModelStore, name: ModelName, label: str) -> Judge:
    """Load the model now, so that damaged weights are known before hours of work."""
    return Judge(label, store, store.network(name).card)


def has_seen(
    card: ModelCard, case: TrainingCase, patient: str, folder: TrainingFolder, checksums: Sequence[str] = ()
) -> bool:
    """Tell whether a model was trained on a patient, by names or by slices.

    Parameters
    ----------
    card
        The model's card: ``training["patients"]`` names its patients, ``training["cases"]`` its cases. A card without
        patients counts as having seen everybody in its cases.
    case, patient
        A patient, and the case that its images come from.
    folder
        All cases; scans of one patient stand for each other.
    checksums
        Those of the slices, see `CovidCTLib.training.slice_checksums`: a slice that was trained on was, whatever its
        name. None are needed to ask for the names alone.
    """
    if known_checksums(card.training.get(SLICE_CHECKSUMS, ())) & known_checksums(checksums):
        return True
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
    judges: Sequence[Judge],
    case: TrainingCase,
    patient: str,
    folder: TrainingFolder,
    checksums: Sequence[str] = (),
) -> tuple[Judge, bool]:
    """Choose the first model that never saw a patient, if there is one with lungs by a network that did not either.

    Parameters
    ----------
    judges
        At least one.
    case, patient, folder, checksums
        As in `has_seen`.

    Returns
    -------
    judge, seen
        Where all models saw the patient, the first of them, and true.
    """
    unseen = [judge for judge in judges if not has_seen(judge.card, case, patient, folder, checksums)]
    if not unseen:
        return judges[0], True
    blind = (j for j in unseen if not has_seen(j.store.card("lungs"), case, patient, folder, checksums))
    return next(blind, unseen[0]), False
