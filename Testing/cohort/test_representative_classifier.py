from __future__ import annotations

import csv
import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from CovidCTLib.cohort.representative import RepresentativeSlice, write_representative
from CovidCTLib.cohort.representative_classifier import (
    FOLDER,
    PREDICTIONS_FILE,
    RECORD_FILE,
    slice_features,
    train_representative_classifier,
)
from CovidCTLib.cohort.representative_training import (
    EPOCHS,
    MIN_PATIENTS,
    RECORD_EVERY,
    fit_linear,
    fit_thresholds,
    split_patients,
)
from CovidCTLib.cohort.rows import ROWS_FOLDER, SUMMARY_PAGE, CohortRow, scan_folder, write_row
from CovidCTLib.cohort.summary import write_summary
from CovidCTLib.cohort.summary_classifier import classifier_part
from CovidCTLib.errors import InputError, OutputError

SIDE = 32


class Seeing(torch.nn.Module):
    """A stand-in for the slice classifier: a map of six activations, whose mean is the verdict."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.backbone = torch.nn.Conv2d(1, 6, 8, 8)
        self.spots_14 = torch.nn.Conv2d(6, 1, 1)

    def forward(self, images):
        return self.spots_14(torch.relu(self.backbone(images))).mean(dim=(1, 2, 3))


@pytest.fixture
def plain_pictures(monkeypatch):
    """Pictures of slices without painting, and a short history, both of which other tests look at."""
    monkeypatch.setattr("CovidCTLib.cohort.representative.representative_picture", lambda _: Image.new("RGB", (20, 20)))
    monkeypatch.setattr("CovidCTLib.cohort.representative_training.RECORD_EVERY", EPOCHS)


@pytest.fixture
def network(plain_pictures):
    seeing = Seeing().eval()

    def run(images):
        with torch.inference_mode():
            return seeing(images)

    card = SimpleNamespace(size=SIDE, name="stand-in", version="1", sha256="ab" * 32)
    return SimpleNamespace(network=seeing, run=run, card=card)


def a_slice(hu: int) -> RepresentativeSlice:
    lungs = np.zeros((48, 48), np.uint8)
    lungs[8:40, 4:20], lungs[8:40, 28:44] = 1, 2
    values = np.where(lungs > 0, hu, 40).astype(np.int16)
    return RepresentativeSlice(5, values, lungs, None, lungs > 9, (2.0, 2.0))


def a_cohort(out, scans: int, hu_of=lambda ill, n: -600 if ill else -860, ratio_of=lambda ill, n: float(n % 7)):
    """Write scans whose lungs are dense where ill; two scans a patient."""
    (out / ROWS_FOLDER).mkdir(exist_ok=True)
    for n in range(scans):
        ill = (n // 2) % 2 == 1
        row = CohortRow(
            f"scan-{n:03d}",
            class_name="ill" if ill else "well",
            patient=f"p{n // 2}",
            vessel_ratio_percent=ratio_of(ill, n),
        )
        folder = scan_folder(out, row.id)
        folder.mkdir(parents=True, exist_ok=True)
        write_representative(a_slice(hu_of(ill, n)), folder)
        write_row(out, row)


def test_a_split_is_stratified_and_by_patients():
    classes = ["a"] * 100 + ["b"] * 50
    patients = [f"p{n // 2}" for n in range(150)]
    held_out = split_patients(classes, patients)
    assert held_out[:100].sum() == 20
    assert held_out[100:].sum() == 10
    assert not set(np.array(patients)[held_out]) & set(np.array(patients)[~held_out])
    np.testing.assert_array_equal(held_out, split_patients(classes, patients))
    assert (held_out != split_patients(classes, patients, seed=1)).any()


def test_a_patient_of_two_classes_stays_on_one_side():
    classes = [name for _ in range(10) for name in ("a", "a", "b")] + ["b"] * 10
    patients = [f"p{n // 3}" for n in range(30)] + [f"q{n}" for n in range(10)]
    held_out = split_patients(classes, patients)
    for patient in set(patients):
        assert len({bool(h) for h, p in zip(held_out, patients, strict=True) if p == patient}) == 1


@pytest.mark.parametrize("classes", [["a"] * 20, ["a"] * 20 + ["b"] * (MIN_PATIENTS - 1), []])
def test_too_few_patients_or_classes_are_refused(classes):
    with pytest.raises(InputError, match=r"At least two classes with 5 patients each were expected"):
        split_patients(classes, [str(n) for n in range(len(classes))])


def test_a_threshold_lies_between_separable_classes():
    rule = fit_thresholds(np.array([1.0, 2, 3, 10, 11]), np.array([1, 1, 1, 0, 0]))
    assert rule.limits == (6.5,)
    assert rule.order == (1, 0)
    np.testing.assert_array_equal(rule.predict(np.array([6.4, 6.5, 100, -5])), [1, 0, 0, 1])


@pytest.mark.parametrize("seed", range(12))
def test_thresholds_are_the_best_that_there_are(seed):
    random = np.random.default_rng(seed)
    count = 2 + seed % 2
    labels = np.concatenate([np.arange(count), random.integers(0, count, 14)])
    values = np.round(random.normal(labels, 1.0), 1)
    rule = fit_thresholds(values, labels)
    limits = [-np.inf, *np.unique(values), np.inf]
    best = max(
        np.mean(np.asarray(rule.order)[np.searchsorted(np.array(tried), values, side="right")] == labels)
        for tried in itertools.combinations_with_replacement(limits, count - 1)
    )
    assert np.mean(rule.predict(values) == labels) == best


def test_a_linear_classifier_learns_what_is_separable_and_says_how_it_went():
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    features = random.normal(size=(100, 4))
    features[:, 1] += 8 * labels
    features[:, 3] = 7.0
    told = []
    model = fit_linear(features, labels, lambda epoch, loss, _: told.append((epoch, loss)))
    assert (model.probabilities(features).argmax(axis=1) == labels).mean() > 0.97
    np.testing.assert_allclose(model.probabilities(features).sum(axis=1), 1)
    assert [epoch for epoch, _ in told] == [1, *range(RECORD_EVERY, EPOCHS + 1, RECORD_EVERY)]
    assert told[0][1] == pytest.approx(np.log(3))
    assert told[-1][1] < 0.3


def test_features_are_the_mean_activations_and_the_logit(network):
    found = slice_features([a_slice(-860), a_slice(-600)], network)
    assert found.shape == (2, 7)
    assert (found[:, :6] >= 0).all()
    assert (found[0] != found[1]).any()
    with torch.inference_mode():
        means = torch.tensor(found[:, :6], dtype=torch.float32)[:, :, None, None]
        logit = network.network.spots_14(means)[:, 0, 0, 0]
    np.testing.assert_allclose(found[:, 6], logit.numpy(), rtol=1e-5)
    assert not network.network.spots_14._forward_pre_hooks


def test_a_network_without_maps_gives_its_logit(network):
    bare = SimpleNamespace(network=torch.nn.Identity(), run=network.run, card=network.card)
    assert slice_features([a_slice(-860)], bare).shape == (1, 1)


def test_a_classifier_beats_a_ratio_that_says_nothing(tmp_path, network):
    a_cohort(tmp_path, 80)
    found = train_representative_classifier(tmp_path, network=network)
    assert found.classes == ("ill", "well")
    assert (found.training_patients, found.held_out_patients) == (32, 8)
    assert (found.training_scans, found.held_out_scans) == (64, 16)
    assert found.classifier.accuracy.value == 1
    assert found.classifier.accuracy.low == pytest.approx(0.025 ** (1 / 8))
    assert found.classifier.accuracy.high == 1
    assert found.threshold.accuracy.value < 1
    assert found.majority_accuracy == 0.5
    assert found.confusion == ((8, 0), (0, 8))
    assert found.only_classifier_right == round(16 * (1 - found.threshold.accuracy.value))
    assert found.only_threshold_right == 0


def test_history_predictions_and_record_are_written(tmp_path, network):
    a_cohort(tmp_path, 40)
    found = train_representative_classifier(tmp_path, network=network)
    folder = tmp_path / FOLDER
    assert sorted(file.name for file in folder.iterdir()) == sorted(file.name for file in found.files)
    with (folder / "history.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert int(lines[-1]["step"]) == EPOCHS
    assert float(lines[-1]["loss"]) < float(lines[0]["loss"])
    assert float(lines[-1]["accuracy"]) == found.classifier.accuracy.value
    with Image.open(folder / "history.png") as picture:
        assert picture.width > 400
    with (folder / PREDICTIONS_FILE).open(encoding="utf-8-sig") as file:
        predictions = list(csv.DictReader(file))
    assert len(predictions) == found.held_out_scans
    assert all(line["predicted"] == line["class_name"] for line in predictions)
    record = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
    assert record["classifier"]["accuracy"]["value"] == found.classifier.accuracy.value
    assert record["slice_classifier"]["sha256"] == "ab" * 32
    assert record["limits_order"] == list(found.limits_order)


def test_the_summary_shows_the_classifier(tmp_path, network):
    assert classifier_part(tmp_path) is None
    a_cohort(tmp_path, 40)
    found = train_representative_classifier(tmp_path, network=network)
    part = classifier_part(tmp_path)
    assert part is not None
    assert part.rows == (("ill", "4", "0"), ("well", "0", "4"))
    facts = dict(part.facts)
    assert facts["held out"] == "8 scans of 4 patients"
    accuracy = found.classifier.accuracy
    assert facts["accuracy of the classifier, held out"].startswith(
        f"1.000 (95 % interval {accuracy.low:.3f} to 1.000)"
    )
    assert part.history is not None
    write_summary(tmp_path)
    assert "A classifier on representative slices" in (tmp_path / SUMMARY_PAGE).read_text(encoding="utf-8")
    (tmp_path / FOLDER / "history.png").write_bytes(b"")
    assert classifier_part(tmp_path).history is None
    (tmp_path / FOLDER / RECORD_FILE).write_text("{}", encoding="utf-8")
    assert classifier_part(tmp_path) is None


def test_the_same_cohort_gives_the_same_classifier_again(tmp_path, network):
    a_cohort(tmp_path, 40)
    first = train_representative_classifier(tmp_path, network=network)
    record = (tmp_path / FOLDER / RECORD_FILE).read_bytes()
    assert train_representative_classifier(tmp_path, network=network) == first
    assert (tmp_path / FOLDER / RECORD_FILE).read_bytes() == record


def test_rows_that_cannot_be_used_are_left_out_and_counted(tmp_path, network):
    a_cohort(tmp_path, 40)
    write_row(tmp_path, CohortRow("x1", class_name="ill", status="failed", reason="no"))
    write_row(tmp_path, CohortRow("x2", vessel_ratio_percent=1.0))
    write_row(tmp_path, CohortRow("x3", class_name="ill", vessel_ratio_percent=1.0))
    write_row(tmp_path, CohortRow("x4", class_name="rare", vessel_ratio_percent=1.0))
    write_row(tmp_path, CohortRow("x5", class_name="ill"))
    found = train_representative_classifier(tmp_path, network=network)
    assert found.left_out == {
        "class with fewer than 5 patients": 1,
        "failed": 1,
        "no class": 1,
        "no representative slice in the scan's folder": 1,
        "no vessel ratio": 1,
    }


def test_a_cohort_that_cannot_be_used_says_why(tmp_path):
    with pytest.raises(InputError, match="no row at all"):
        train_representative_classifier(tmp_path)
    (tmp_path / ROWS_FOLDER).mkdir()
    write_row(tmp_path, CohortRow("x2", vessel_ratio_percent=1.0))
    with pytest.raises(InputError, match=r"no scan can be used \(1 no class\)"):
        train_representative_classifier(tmp_path)


def test_an_output_that_is_in_the_way_is_refused(tmp_path, network):
    a_cohort(tmp_path, 20)
    (tmp_path / FOLDER).write_bytes(b"")
    with pytest.raises(OutputError, match="something else appeared in its place"):
        train_representative_classifier(tmp_path, network=network)
