"""The bundles that CovidCT ships and writes are bundles of MONAI, and are there whole or not at all."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser, load, verify_net_in_out
from monai.bundle.properties import MetaProperties
from monai.utils import BundleProperty, BundlePropertyConfig

from CovidCTLib.errors import ModelError
from CovidCTLib.models import bundle as bundles
from CovidCTLib.models.bundle import read_card, with_validation
from CovidCTLib.models.card import MODEL_NAMES, ModelCard
from CovidCTLib.models.metadata import eval_metrics, inference_of, metadata_of
from CovidCTLib.models.networks import build_network
from CovidCTLib.models.registry import SHIPPED
from CovidCTLib.models.weights import load_network, load_state, save_network

TINY = {"kind": "unet", "channels": [4, 8], "outputs": 1}

MANDATORY = {
    "version": str,
    "changelog": dict,
    "monai_version": str,
    "pytorch_version": str,
    "numpy_version": str,
    "required_packages_version": dict,
    "task": str,
    "description": str,
    "authors": str,
    "copyright": str,
    "network_data_format": dict,
}
"""Keys that MONAI's bundle specification and its schema of 2024-07-25 demand, and their types."""

DESCRIPTIVE = ("name", "data_source", "data_type", "image_classes", "label_classes", "pred_classes", "intended_use")

TENSOR = {
    "type": str,
    "format": str,
    "num_channels": int,
    "spatial_shape": list,
    "dtype": str,
    "value_range": list,
    "is_patch_data": bool,
    "channel_def": dict,
}
"""Keys of each input and output."""

TYPES = {"image", "series", "tuples", "probabilities"}
FORMATS = {"magnitude", "hounsfield", "labels", "classes", "segmentation", "logits"}
"""Types of MONAI's specification, and formats: its list of these is open, and it has no word for logits."""

FIGURE = {"name": "infection Dice, coronacases slices", "value": 0.8, "low": 0.77, "high": 0.83, "n": "783 slices"}


@pytest.fixture
def card() -> ModelCard:
    return ModelCard("lungs", "1", TINY, 32, "body", "HU", "logits", "", validation={"score": 0.5}, limits=("none",))


@pytest.fixture
def written(tmp_path: Path, card: ModelCard) -> Path:
    save_network(build_network(TINY), card, tmp_path)
    return tmp_path / "lungs"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_metadata_hold_what_monai_demands(name: str) -> None:
    metadata = json.loads((SHIPPED / name / "configs" / "metadata.json").read_text(encoding="utf-8"))
    for key, kind in MANDATORY.items():
        assert isinstance(metadata[key], kind), key
    for key in DESCRIPTIVE:
        assert metadata[key], key
    assert metadata["version"] in metadata["changelog"]
    assert metadata["references"]
    assert metadata["schema"].startswith("https://github.com/Project-MONAI/")
    assert all(isinstance(value, float) for value in metadata["eval_metrics"].values())
    tensors = {**metadata["network_data_format"]["inputs"], **metadata["network_data_format"]["outputs"]}
    assert set(tensors) == {"image", "pred"}
    for tensor in tensors.values():
        for key, kind in TENSOR.items():
            assert isinstance(tensor[key], kind), key
        assert tensor["type"] in TYPES
        assert tensor["format"] in FORMATS
        assert set(tensor["channel_def"]) == {str(k) for k in range(tensor["num_channels"])}


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_monai_finds_every_property_that_it_requires(name: str) -> None:
    parser = ConfigParser()
    parser.read_meta(SHIPPED / name / "configs" / "metadata.json")
    for entry in MetaProperties.values():
        if entry[BundleProperty.REQUIRED]:
            assert parser.get(entry[BundlePropertyConfig.ID])


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_monai_builds_the_network_and_its_weights_load(name: str) -> None:
    parser = ConfigParser()
    parser.read_meta(SHIPPED / name / "configs" / "metadata.json")
    parser.read_config(SHIPPED / name / "configs" / "inference.json")
    network = parser.get_parsed_content("network_def")
    network.load_state_dict(load_state(SHIPPED / name / "models" / "model.pt"))
    image = parser.get("_meta_::network_data_format::inputs::image")
    prediction = parser.get("_meta_::network_data_format::outputs::pred")
    with torch.inference_mode():
        output = network.eval()(torch.zeros(1, image["num_channels"], *image["spatial_shape"]))
    channels, shape = prediction["num_channels"], prediction["spatial_shape"]
    assert tuple(output.shape) == (1, channels, *shape)


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_monai_finds_the_tensors_as_the_metadata_say(name: str) -> None:
    configs = SHIPPED / name / "configs"
    files = {"meta_file": str(configs / "metadata.json"), "config_file": str(configs / "inference.json")}
    # It raises where channels or type of the output differ.
    verify_net_in_out("network_def", **files, device="cpu")


def test_a_classifier_keeps_its_own_form_where_covidct_uses_it() -> None:
    card = read_card(SHIPPED / "slices")
    ours = load_network(card, SHIPPED / "slices")
    theirs = build_network(card.architecture, channel_axis=True).eval()
    theirs.load_state_dict(load_state(SHIPPED / "slices" / bundles.WEIGHTS))
    images = torch.rand(2, 1, card.size, card.size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        column, flat = theirs(images), ours(images)
    assert (tuple(column.shape), tuple(flat.shape)) == ((2, 1), (2,))
    torch.testing.assert_close(column[:, 0], flat)


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_each_metric_is_the_figure_of_the_card_that_its_name_says(name: str) -> None:
    metadata = json.loads((SHIPPED / name / bundles.METADATA).read_text(encoding="utf-8"))
    metrics = dict(metadata["eval_metrics"])
    for key, value in metadata["covidct"]["validation"].items():
        if isinstance(value, dict):
            for figure in value["figures"]:
                assert metrics.pop(f"{key.replace('_', ' ')}: {figure['name']}", None) == figure["value"]
        elif isinstance(value, float):
            assert metrics.pop(key) == value
    assert metrics == {}


def test_figures_of_one_name_do_not_take_each_others_place() -> None:
    one, other = ({"figures": [{"name": "sensitivity", "value": value}]} for value in (0.9, 1.0))
    twice = {"figures": [*one["figures"], *other["figures"]]}
    assert eval_metrics({"cross_validation": one, "cross_validation_of_cases": other, "score": 0.5, **twice}) == {
        "cross validation: sensitivity": 0.9,
        "cross validation of cases: sensitivity": 1.0,
        "score": 0.5,
        "sensitivity": 0.9,
        "sensitivity (2)": 1.0,
    }


def test_monai_loads_a_shipped_bundle_by_itself() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = load("lungs", workflow_type="inference", bundle_dir=SHIPPED, source="github", device="cpu")
    card = read_card(SHIPPED / "lungs")
    ours = load_network(card, SHIPPED / "lungs")
    images = torch.rand(1, card.slices_seen, card.size, card.size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(theirs.eval()(images), ours(images))


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_each_bundle_ships_its_card_and_licence(name: str) -> None:
    text = (SHIPPED / name / "LICENSE").read_text(encoding="utf-8")
    assert "CC BY-NC-SA 4.0" in text
    assert "https://creativecommons.org/licenses/by-nc-sa/4.0" in text
    assert set(contents(SHIPPED / name)) == {
        bundles.METADATA,
        bundles.INFERENCE,
        bundles.WEIGHTS,
        bundles.CARD,
        "LICENSE",
    }


def test_a_saved_card_comes_back(written: Path, card: ModelCard) -> None:
    back = read_card(written)
    assert back.sha256 == bundles.file_sha256(written / bundles.WEIGHTS)
    assert (back.architecture, back.limits, back.window_hu, back.role) == (TINY, ("none",), (-1024, 150), "lungs")
    assert "not stated" in (written / "LICENSE").read_text(encoding="utf-8")


def test_a_second_save_takes_the_place_of_the_first_whole(written: Path, card: ModelCard) -> None:
    (written / "left_over.txt").write_text("old")
    new = save_network(build_network({**TINY, "channels": [4, 16]}), card, written.parent)
    assert read_card(written).sha256 == new.sha256
    assert not (written / "left_over.txt").exists()
    assert [path.name for path in written.parent.iterdir()] == ["lungs"]


def test_a_save_through_a_link_changes_what_the_link_leads_to(tmp_path: Path, card: ModelCard) -> None:
    save_network(build_network(TINY), card, tmp_path / "kept")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "lungs").symlink_to(tmp_path / "kept" / "lungs")
    new = save_network(build_network({**TINY, "channels": [4, 16]}), card, tmp_path / "run")
    assert (tmp_path / "run" / "lungs").is_symlink()
    assert read_card(tmp_path / "kept" / "lungs").sha256 == new.sha256
    assert [path.name for folder in ("run", "kept") for path in (tmp_path / folder).iterdir()] == ["lungs", "lungs"]


@pytest.mark.parametrize("broken", ["save_weights", "the card"])
def test_a_save_that_fails_keeps_the_old_bundle(
    written: Path, card: ModelCard, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    before = contents(written)

    def fail(*_: object) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(
        torch if broken == "save_weights" else bundles, "save" if broken == "save_weights" else "_write_json", fail
    )
    with pytest.raises(ModelError, match=r"The bundle lungs cannot be written \(No space left on device\)"):
        save_network(build_network(TINY), card, written.parent)
    assert contents(written) == before
    assert [path.name for path in written.parent.iterdir()] == ["lungs"]


def test_a_stop_between_old_and_new_brings_the_old_one_back(
    written: Path, card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(written)
    rename = Path.rename

    def stop(self: Path, target: Path) -> Path:
        if self.name.endswith(".part"):
            raise KeyboardInterrupt
        return rename(self, target)

    # As on a system that cannot swap two folders in one step.
    monkeypatch.setattr("CovidCTLib.writing.folder.exchange", lambda *_: False)
    monkeypatch.setattr(Path, "rename", stop)
    with pytest.raises(KeyboardInterrupt):
        save_network(build_network(TINY), card, written.parent)
    assert contents(written) == before
    assert [path.name for path in written.parent.iterdir()] == ["lungs"]


def test_a_folder_that_is_no_bundle_is_never_replaced(tmp_path: Path, card: ModelCard) -> None:
    (tmp_path / "lungs").mkdir()
    (tmp_path / "lungs" / "my_scans.txt").write_text("mine")
    with pytest.raises(ModelError, match="The folder lungs is in the way of the bundle and is none itself"):
        save_network(build_network(TINY), card, tmp_path)
    assert (tmp_path / "lungs" / "my_scans.txt").read_text() == "mine"


def test_new_validation_figures_leave_the_weights_untouched(written: Path) -> None:
    before = contents(written)
    validation = {"score": 0.5, "cross_validation": {"folds": 3, "figures": [FIGURE, {"name": "none", "value": None}]}}
    card = with_validation(written, validation)
    after = contents(written)
    assert read_card(written) == card
    assert card.validation == validation
    assert {name for name in after if after[name] != before[name]} == {bundles.METADATA, bundles.CARD}
    assert json.loads(after[bundles.METADATA])["eval_metrics"] == {
        "score": 0.5,
        f"cross validation: {FIGURE['name']}": 0.8,
    }
    assert [path.name for path in written.parent.iterdir()] == ["lungs"]


def test_figures_are_a_table_in_the_card(written: Path) -> None:
    rows = [{"case": "a|b", "dice": 0.91234}, {"case": "c", "ml": 3}]
    facts = {"folds": 3, "figures": [FIGURE], "worst_cases": rows}
    text = with_validation(written, {"chosen_by": "hand", "cross_validation": facts}).to_markdown()
    lines = text.splitlines()
    start = lines.index("## Validation on patients that it never saw")
    assert lines[start + 2 : start + 23] == [
        "| what | value |",
        "| --- | --- |",
        "| chosen by | hand |",
        "",
        "## Cross-validation of the same training",
        "",
        "Not the weights of this card were judged here, but those of other runs of this training, each on patients "
        "that it never saw.",
        "",
        "| what | value |",
        "| --- | --- |",
        "| folds | 3 |",
        "",
        "| figure | value | interval | n |",
        "| --- | --- | --- | --- |",
        "| infection Dice, coronacases slices | 0.8 | 0.77 to 0.83 | 783 slices |",
        "",
        "worst cases:",
        "",
        "| case | dice | ml |",
        "| --- | --- | --- |",
        "| a\\|b | 0.9123 | - |",
    ]
    assert (written / bundles.CARD).read_text(encoding="utf-8") == text


def test_intervals_remarks_and_notices_stand_in_the_card(written: Path) -> None:
    exact = {**FIGURE, "interval": "95 % interval, exact", "remark": "too few to rely on"}
    facts = {"figures": [FIGURE, exact], "notices": ["One lung was missing.", "The spacing is nominal."]}
    text = with_validation(written, {"cross_validation_of_cases": facts}).to_markdown()
    assert "## Cross-validation of the same training, of cases\n" in text
    assert "never saw\n" not in text
    assert "| figure | value | interval | kind of interval | n | remark |\n" in text
    assert "| 0.8 | 0.77 to 0.83 | - | 783 slices | - |\n" in text
    assert "| 0.8 | 0.77 to 0.83 | 95 % interval, exact | 783 slices | too few to rely on |\n" in text
    assert "\n- One lung was missing.\n- The spacing is nominal.\n" in text


def test_the_card_says_on_which_grid_the_training_judged(card: ModelCard) -> None:
    words = "measured on the network's grid (32 x 32 pixels around the body), before any clean-up."
    assert words in card.to_markdown()
    for silent in ({"validation": {"slices_and_patients": "2 slices"}}, {"role": "slices"}):
        assert "network's grid" not in replace(card, **silent).to_markdown()


def test_new_figures_bring_what_the_bundle_says_of_its_tensors_up_to_date(tmp_path: Path) -> None:
    architecture = {"kind": "resnet", "layers": [1, 1, 1, 1], "widths": [2, 2, 2, 2]}
    card = ModelCard("slices", "1", architecture, 32, "lungs", "HU", "logit", "", {"slice": 0.5, "case": 0.1})
    save_network(build_network(architecture), card, tmp_path)
    folder = tmp_path / "slices"
    before = contents(folder)
    metadata = json.loads(before[bundles.METADATA])
    metadata["network_data_format"]["outputs"]["pred"]["type"] = "probabilities"
    (folder / bundles.METADATA).write_text(json.dumps({**metadata, "monai_version": "1.3"}))
    (folder / bundles.INFERENCE).write_text(
        json.dumps({"network_def": inference_of(replace(card, role="lungs"))["network_def"]})
    )
    written = with_validation(folder, {})
    assert contents(folder) == {**before, bundles.METADATA: contents(folder)[bundles.METADATA]}
    found = json.loads((folder / bundles.METADATA).read_text())
    assert found["monai_version"] == "1.3"
    assert found["network_data_format"] == metadata_of(written)["network_data_format"]
    assert (found["network_data_format"]["outputs"]["pred"]["type"]) == "tuples"
    assert found["references"][-1].startswith("He et al. 2016, ResNet")


@pytest.mark.parametrize(
    "figures",
    [
        [{"value": 1}],
        [{"name": "x"}],
        [{"name": "x", "value": "high"}],
        [3],
        {"a": 1},
        [{"name": "x", "value": 1, "low": True}],
    ],
)
def test_figures_that_are_none_are_refused_and_change_nothing(written: Path, figures: Any) -> None:
    before = contents(written)
    if isinstance(figures, dict):
        figures = "none"
    with pytest.raises(ModelError, match="Each validation figure must hold a 'name' and a finite 'value'"):
        with_validation(written, {"cross_validation": {"figures": figures}})
    assert contents(written) == before


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (bundles.METADATA, None, r"There is no configs/metadata\.json in the bundle lungs"),
        (bundles.INFERENCE, None, r"There is no configs/inference\.json in the bundle lungs"),
        (
            bundles.METADATA,
            "{",
            r"configs/metadata\.json of the bundle lungs cannot be read as JSON \(JSONDecodeError\)",
        ),
        (bundles.METADATA, "[]", r"configs/metadata\.json of the bundle lungs must hold a JSON object, not list"),
        (bundles.METADATA, "{}", r"The bundle lungs has no section 'covidct'"),
        (bundles.METADATA, '{"covidct": {}}', r"The model card of the bundle lungs is incomplete or wrong \('role'\)"),
    ],
)
def test_incomplete_bundles_are_refused(written: Path, file: str, text: str | None, message: str) -> None:
    (written / file).unlink()
    if text is not None:
        (written / file).write_text(text)
    with pytest.raises(ModelError, match=message):
        read_card(written)
