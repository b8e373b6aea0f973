"""A user's own networks of MONAI: what is taken, what is refused, and that they speak like CovidCT's."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bundle_maker import SLICE, SLICE_SECTION, VOLUME, VOLUME_SECTION, make_bundle

from CovidCTLib.errors import ModelError
from CovidCTLib.lungs.network import segment_chest_by_network
from CovidCTLib.models.bundle import METADATA, WEIGHTS, read_card, with_validation
from CovidCTLib.models.card import ModelCard
from CovidCTLib.models.foreign_network import RoleAdapter, build_foreign, first_output
from CovidCTLib.models.networks import build_network
from CovidCTLib.models.registry import SHIPPED, all_entries, find_own
from CovidCTLib.models.store import ModelStore
from CovidCTLib.models.weights import save_network
from CovidCTLib.opacities.network import segment_opacities
from CovidCTLib.options import Options
from CovidCTLib.phantom import make_chest_phantom
from CovidCTLib.pipeline import analyze
from CovidCTLib.results.record import analysis_record

DOCUMENT = Path(__file__).parents[2] / "docs" / "models.md"


class _Known(torch.nn.Module):
    """Gives chosen logits, whatever comes in."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.full_like(x, logit) for logit in self.logits], dim=1)


class _Mirror(torch.nn.Module):
    """Gives its input back, and keeps it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen = x
        return x


def foreign_card(**fields: Any) -> ModelCard:
    known: dict[str, Any] = {"role": "lungs", "channels": ("lung",), "architecture": VOLUME, "size": 8}
    return ModelCard(
        **{"name": "x", "version": "1", "framing": "body", "expects": "", "gives": "", "sha256": "", **known, **fields}
    )


def refusal(folder: Path) -> str:
    """What the store says of a folder."""
    with pytest.raises(ModelError) as caught:
        ModelStore(folder, device="cpu").load_own()
    return str(caught.value)


@pytest.mark.parametrize(
    ("definition", "section", "patch"), [(VOLUME, VOLUME_SECTION, (32, 32, 16)), (SLICE, SLICE_SECTION, None)]
)
def test_a_bundle_of_monai_is_read_and_loads(
    tmp_path: Path, definition: dict[str, Any], section: dict[str, Any], patch: Any
) -> None:
    make_bundle(tmp_path / "mine", definition, section)
    store = ModelStore(tmp_path, device="cpu")
    store.load_own()
    loaded = store.opacities()
    assert loaded.card.patch == patch
    assert loaded.used.own
    assert (loaded.used.name, loaded.used.role) == ("mine", "opacities")
    assert not store.lungs().used.own
    shape = (2, 1, 16, 32, 32) if patch else (2, 1, 64, 64)
    assert loaded.run(torch.rand(shape)).shape == (2, 3, *shape[2:])


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        (None, "has no network_def with a _target_"),
        ({"spatial_dims": 3}, "has no network_def with a _target_"),
        ("monai.networks.nets.UNet", "has no network_def with a _target_"),
        ({**VOLUME, "_target_": "os.system"}, "by 'os.system', which could run any code"),
        ({**VOLUME, "_target_": "monai.networks.nets.unet.UNet.forward"}, "which could run any code"),
        ({**VOLUME, "_target_": "monai.networks.nets.UNet\n"}, "which could run any code"),
        ({**VOLUME, "_target_": "$monai.networks.nets.UNet"}, "which could run any code"),
        ({**VOLUME, "channels": "$[4, 8]"}, "holds the expression '\\$\\[4, 8\\]' in 'channels'"),
        ({**VOLUME, "channels": ["@size", 8]}, "holds the expression '@size' in 'channels'"),
        ({**VOLUME, "act": {"name": "%evil"}}, "holds the expression '%evil' in 'name'"),
        ({**VOLUME, "act": {"_target_": "os.system"}}, "holds '_target_', which could run any code"),
        ({**VOLUME, "_mode_": "callable"}, "holds '_mode_', which could run any code"),
        ({**VOLUME, "pretrained": True}, "asks for other weights by 'pretrained'"),
        ({**VOLUME, "checkpoint": "sam.pth"}, "asks for other weights by 'checkpoint'"),
        ({**VOLUME, "_target_": "monai.networks.nets.Telepathy"}, "has no network 'monai.networks.nets.Telepathy'"),
        ({**VOLUME, "_target_": "monai.networks.nets.resnet50"}, "has no network 'monai.networks.nets.resnet50'"),
        ({**VOLUME, "_target_": "monai.networks.nets.unet"}, "has no network 'monai.networks.nets.unet'"),
        ({**VOLUME, "colour": "red"}, r"does not fit monai.networks.nets.UNet \(TypeError\)"),
        ({**VOLUME, "channels": [4]}, r"does not fit monai.networks.nets.UNet \(ValueError\)"),
        ({**VOLUME, "_target_": "monai.networks.nets.VNet"}, "does not fit monai.networks.nets.VNet"),
    ],
)
def test_what_could_run_code_or_is_no_network_is_refused(tmp_path: Path, definition: Any, message: str) -> None:
    make_bundle(tmp_path / "mine", VOLUME, VOLUME_SECTION)
    (tmp_path / "mine" / "configs" / "inference.json").write_text(json.dumps({"network_def": definition}))
    assert re.search(message, refusal(tmp_path))


def test_a_network_that_would_fetch_weights_is_told_not_to(monkeypatch: pytest.MonkeyPatch) -> None:
    import monai.networks.nets

    class Fetching(torch.nn.Module):
        def __init__(self, pretrained: bool = True) -> None:
            super().__init__()
            self.pretrained = pretrained

    monkeypatch.setattr(monai.networks.nets, "Fetching", Fetching, raising=False)
    assert build_foreign({"_target_": "monai.networks.nets.Fetching"}, "x").pretrained is False


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"role": "slices"}, "The role of the bundle mine must be lungs or opacities, not 'slices'"),
        ({"role": ...}, r"The model card of the bundle mine is incomplete or wrong \('role'\)"),
        ({"window_hu": ...}, r"incomplete or wrong \('window_hu'\)"),
        ({"orientation": ...}, r"incomplete or wrong \('orientation'\)"),
        ({"sha256": ...}, r"incomplete or wrong \('sha256'\)"),
        ({"sha256": 5}, "sha256 must be a text"),
        ({"channels": []}, "each be one of background, consolidation, .*, not 'empty'"),
        ({"channels": ["background", "covid"]}, "not 'covid'"),
        ({"channels": "lung"}, "channels must be a list of texts"),
        ({"channels": ["background", "lung"]}, "do not tell opacities from the rest"),
        ({"channels": ["ggo", "consolidation"]}, "do not tell opacities from the rest"),
        ({"channels": ["background", "ggo"]}, "either opacity, or ggo and consolidation, not ggo"),
        ({"window_hu": [400, -1000]}, r"window_hu of the bundle mine must be \[low, high\] in HU, not \[400, -1000\]"),
        ({"window_hu": [400]}, r"window_hu must be 2 numbers, not \[400\]"),
        ({"value_range": [1, 1]}, r"value_range of the bundle mine must be \[low, high\], .*, not \[1, 1\]\. Correct"),
        (
            {"value_range": [1, -1]},
            r"value_range of the bundle mine must be \[low, high\], .*, not \[1, -1\]\. Correct",
        ),
        ({"value_range": [0, float("nan")]}, r"value_range\.1 must be a finite number, not NaN or infinity"),
        ({"training": {"cases": 60}}, r"training\.cases must be a list of names, not 60"),
        ({"patch": [32, 32.5, 16]}, "patch must be 3 whole numbers"),
        ({"patch": [32, 0, 16]}, "patch of the bundle mine must be three positive numbers of voxels"),
        ({"spacing_mm": ...}, "spacing_mm of the bundle mine must be three positive numbers in mm"),
        ({"spacing_mm": [1, 1, -1]}, "spacing_mm of the bundle mine must be three positive numbers in mm"),
        ({"orientation": "RA"}, "must name where each axis leads, such as 'RAS' or 'SPL', not 'RA'"),
        ({"orientation": "RLS"}, "must name where each axis leads"),
        ({"patch": ..., "framing": "lungs", "size": 64}, "must name where each axis leads, such as 'PL' or 'RA'"),
        ({"patch": ..., "framing": "head", "size": 64}, "must be 'body' or lungs, not 'head'; a network of volumes"),
        ({"patch": ..., "framing": "body", "size": 0}, "must be the side of its input in pixels, not 0"),
        ({"patch": ..., "framing": "body", "size": "64"}, "size must be a whole number"),
        ({"limits": "none"}, "limits must be a list of texts"),
        ({"training": []}, "training must be an object"),
    ],
)
def test_a_section_that_is_wrong_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    make_bundle(tmp_path / "mine", VOLUME, {**VOLUME_SECTION, **change})
    assert re.search(message, refusal(tmp_path))


def test_a_lung_network_sees_the_body(tmp_path: Path) -> None:
    make_bundle(tmp_path / "mine", SLICE, {**SLICE_SECTION, "role": "lungs", "channels": ["other", "lung", "ggo"]})
    assert "must be 'body', not 'lungs'" in refusal(tmp_path)


@pytest.mark.parametrize(("key", "count"), [("inputs", 2), ("outputs", 3)])
def test_channel_counts_must_agree_with_the_data_format(tmp_path: Path, key: str, count: int) -> None:
    formats = {key: {"image": {"num_channels": count}}}
    make_bundle(tmp_path / "mine", VOLUME, VOLUME_SECTION, network_data_format=formats)
    assert f"network_data_format says {count} {key[:-1]} channels, but" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("said", "by_monai", "expected"),
    [
        (..., ..., (0.0, 1.0)),
        (..., [], (0.0, 1.0)),
        (..., [-1, 1], (-1, 1)),
        (..., [-1000, 400], (-1000, 400)),
        ([0, 1], [-1000, 400], (0, 1)),
    ],
)
def test_the_window_becomes_what_the_card_says_or_else_monais_data_format(
    tmp_path: Path, said: Any, by_monai: Any, expected: tuple[float, float]
) -> None:
    image = {"num_channels": 1} if by_monai is ... else {"num_channels": 1, "value_range": by_monai}
    make_bundle(
        tmp_path / "mine",
        VOLUME,
        {**VOLUME_SECTION, "value_range": said},
        network_data_format={"inputs": {"image": image}},
    )
    card = read_card(tmp_path / "mine")
    assert card.value_range == expected
    assert f"-1000 to 400 HU, scaled to {expected[0]:g} to {expected[1]:g}" in card.to_markdown()


def test_a_range_of_monais_data_format_must_go_from_low_to_high(tmp_path: Path) -> None:
    make_bundle(
        tmp_path / "mine", VOLUME, VOLUME_SECTION, network_data_format={"inputs": {"image": {"value_range": [1, 0]}}}
    )
    assert "or in network_data_format if it stands there" in refusal(tmp_path)


def test_weights_must_be_there_and_the_ones_of_the_card(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "mine", VOLUME, {**VOLUME_SECTION, "sha256": "ab" * 32})
    assert "do not have the checksum of their card (expected abababababab..., found" in refusal(tmp_path)
    (bundle / WEIGHTS).unlink()
    assert "There are no weights models/model.pt in the bundle mine" in refusal(tmp_path)


def test_weights_must_be_a_state_dict_of_this_network(tmp_path: Path) -> None:
    make_bundle(tmp_path / "a", SLICE, VOLUME_SECTION)
    (tmp_path / "a" / "configs" / "inference.json").write_text(json.dumps({"network_def": VOLUME}))
    assert "The weights of a belong to another architecture" in refusal(tmp_path / "a")
    bundle = make_bundle(tmp_path / "b", VOLUME, VOLUME_SECTION)
    torch.save({"epoch": 3}, bundle / WEIGHTS)
    metadata = json.loads((bundle / METADATA).read_text())
    import hashlib

    metadata["covidct"]["sha256"] = hashlib.sha256((bundle / WEIGHTS).read_bytes()).hexdigest()
    (bundle / METADATA).write_text(json.dumps(metadata))
    assert "must hold a state dict of tensors, but holds dict" in refusal(bundle)


def test_outputs_of_another_shape_are_refused_before_any_work(tmp_path: Path) -> None:
    make_bundle(tmp_path / "a", VOLUME, {**VOLUME_SECTION, "channels": ["background", "ggo", "consolidation"]})
    assert "gives an output of shape (1, 2, 32, 32, 16), but its card makes it (1, 3, 32, 32, 16)" in refusal(
        tmp_path / "a"
    )
    make_bundle(tmp_path / "b", {**VOLUME, "in_channels": 2}, VOLUME_SECTION)
    assert "An input of one channel and 32 x 32 x 16 does not go through the network of b" in refusal(tmp_path / "b")
    make_bundle(tmp_path / "c", VOLUME, {**VOLUME_SECTION, "patch": [33, 32, 16]})
    assert "gives an output of shape (1, 2, 34, 32, 16), but its card makes it (1, 2, 33, 32, 16)" in refusal(
        tmp_path / "c"
    )


def test_an_own_network_of_covidct_must_fit_its_role(tmp_path: Path) -> None:
    two = {"kind": "unet", "channels": [4, 8], "outputs": 2}
    card = ModelCard("lungs", "1", two, 32, "body", "HU", "logits", "")
    save_network(build_network(two), card, tmp_path)
    assert "gives an output of shape (1, 2, 32, 32), but its card makes it (1, 1, 32, 32)" in refusal(tmp_path)


def test_networks_that_give_no_tensor_are_refused() -> None:
    assert first_output([(torch.ones(1),), 3]).item() == 1
    with pytest.raises(ModelError, match="A network must give a tensor, but gave dict"):
        first_output({})


def test_several_channels_exclude_each_other() -> None:
    lungs = foreign_card(channels=("background", "left lung", "right lung", "other"))
    answer = RoleAdapter(_Known(1.0, 0.7, 0.7, -9.0), lungs)(torch.zeros(1, 1, 8, 8))
    # Neither lung alone beats the background, but both together do.
    assert answer.shape == (1, 1, 8, 8)
    assert answer[0, 0, 0, 0] == pytest.approx(0.7 + np.log(2) - 1.0, abs=1e-3)
    kinds = foreign_card(role="opacities", channels=("consolidation", "lung", "ggo", "background"))
    answer = RoleAdapter(_Known(3.0, 1.0, 2.0, 1.0), kinds)(torch.zeros(1, 1, 8, 8))
    assert answer[0, :, 0, 0].tolist() == pytest.approx([1 + np.log(2), 2.0, 3.0])


def test_one_channel_is_a_yes_above_zero_and_opacity_alone_is_ground_glass() -> None:
    single = foreign_card(role="opacities", channels=("opacity",))
    none, ggo, consolidation = RoleAdapter(_Known(0.5), single)(torch.zeros(1, 1, 8, 8))[0, :, 0, 0].tolist()
    assert (none, ggo) == (0.0, 0.5)
    assert consolidation < -1000
    assert not single.tells_kinds
    assert RoleAdapter(_Known(0.5), foreign_card())(torch.zeros(1, 1, 8, 8))[0, 0, 0, 0] == 0.5


@pytest.mark.parametrize("orientation", ["SPL", "RAS", "LPS", "AIR"])
def test_the_network_sees_its_own_orientation_and_the_answer_comes_back(orientation: str) -> None:
    mirror = _Mirror()
    card = foreign_card(orientation=orientation, patch=(2, 3, 4), spacing_mm=(1, 1, 1), value_range=(-1, 1))
    volume = torch.rand(1, 1, 2, 3, 4)
    answer = RoleAdapter(mirror, card)(volume)
    torch.testing.assert_close(answer, volume * 2 - 1)
    # The voxel farthest to the head, back and left is the last one of the canonical order.
    last = volume[0, 0, -1, -1, -1] * 2 - 1
    corner = tuple(-1 if letter in "SPL" else 0 for letter in orientation)
    assert mirror.seen[0, 0][corner] == pytest.approx(float(last))
    canonical = {"S": 0, "I": 0, "P": 1, "A": 1, "L": 2, "R": 2}
    assert mirror.seen.shape[2:] == tuple(volume.shape[2 + canonical[letter]] for letter in orientation)


def test_slices_are_turned_too() -> None:
    mirror = _Mirror()
    image = torch.rand(1, 1, 8, 8)
    torch.testing.assert_close(RoleAdapter(mirror, foreign_card(orientation="RA"))(image), image)
    torch.testing.assert_close(mirror.seen, image.transpose(2, 3).flip(2, 3))


def test_folders_are_searched_in_order_and_the_rest_is_shipped(tmp_path: Path) -> None:
    make_bundle(tmp_path / "a" / "first", VOLUME, VOLUME_SECTION)
    make_bundle(tmp_path / "b", SLICE, SLICE_SECTION)
    (tmp_path / "a" / ".second.1.part" / "configs").mkdir(parents=True)
    (tmp_path / "a" / ".second.1.part" / "configs" / "metadata.json").write_text("{")
    assert ModelStore([tmp_path / "a", tmp_path / "b"]).card("opacities").name == "first"
    assert ModelStore([tmp_path / "b", tmp_path / "a"]).card("opacities").name == "b"
    assert [entry.own for entry in all_entries([tmp_path / "b"])] == [False, True, False]
    assert not any(entry.own for entry in find_own([SHIPPED, SHIPPED / "lungs"]).values())


def test_folders_without_models_or_with_two_of_a_role_are_refused(tmp_path: Path) -> None:
    assert "There is no model in 'nowhere'. Expected a bundle" in refusal(tmp_path / "nowhere")
    assert "There is no model in" in refusal(tmp_path)
    make_bundle(tmp_path / "one", VOLUME, VOLUME_SECTION)
    make_bundle(tmp_path / "two", VOLUME, VOLUME_SECTION)
    assert "holds two models for opacities: one and two. Give the folder of the one to use." in refusal(tmp_path)


def test_a_trained_network_of_an_unknown_role_is_refused(tmp_path: Path) -> None:
    tiny = {"kind": "unet", "channels": [4, 8], "outputs": 1}
    save_network(build_network(tiny), ModelCard("lungs", "1", tiny, 32, "body", "HU", "logits", ""), tmp_path)
    metadata = json.loads((tmp_path / "lungs" / METADATA).read_text())
    metadata["covidct"]["role"] = "heart"
    (tmp_path / "lungs" / METADATA).write_text(json.dumps(metadata))
    assert "must be one of lungs, opacities, slices, not 'heart'" in refusal(tmp_path)


def test_validation_of_a_foreign_bundle_keeps_its_own_readme(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "mine", VOLUME, VOLUME_SECTION)
    (bundle / "docs").mkdir()
    (bundle / "docs" / "README.md").write_text("by hand")
    with_validation(bundle, {"figures": [{"name": "Dice", "value": 0.5}]})
    assert (bundle / "docs" / "README.md").read_text() == "by hand"
    assert read_card(bundle).validation == {"figures": [{"name": "Dice", "value": 0.5}]}


def test_the_worked_example_of_the_document_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(program, str(DOCUMENT), "exec"), {})
    store = ModelStore(tmp_path / "my_models", device="cpu")
    store.load_own()
    network = store.lungs()
    assert network.card.name == "my_lungs"
    phantom = make_chest_phantom((40, 64, 64), (7.0, 5.6, 5.6))
    hu = phantom.scan.hu
    lungs = segment_chest_by_network(hu, phantom.scan.geometry.spacing_zyx_mm, network).lungs
    assert (lungs.shape, lungs.dtype) == (hu.shape, np.bool_)


def test_the_documents_2d_section_is_understood(tmp_path: Path) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    (section,) = re.findall(r"^```json\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    make_bundle(tmp_path / "mine", SLICE, {key: v for key, v in json.loads(section).items() if key != "sha256"})
    network = ModelStore(tmp_path, device="cpu").opacities()
    phantom = make_chest_phantom((40, 64, 64), (7.0, 5.6, 5.6))
    spacing = phantom.scan.geometry.spacing_zyx_mm
    found = segment_opacities(phantom.scan.hu, phantom.lungs, spacing, network)
    assert not found[phantom.lungs == 0].any()
    # Framed by the body it sees something else, so it finds something else.
    other = replace(network, card=replace(network.card, framing="body"))
    assert not np.array_equal(segment_opacities(phantom.scan.hu, phantom.lungs, spacing, other), found)


def test_the_results_say_that_an_own_model_was_used(tmp_path: Path) -> None:
    make_bundle(tmp_path / "mine", VOLUME, VOLUME_SECTION)
    phantom = make_chest_phantom((32, 64, 64), (7.6, 5.6, 5.6))
    analysis = analyze(phantom.scan, Options(threads=1), models=ModelStore(tmp_path, device="cpu"))
    lungs, opacities, slices = analysis_record(analysis)["models"]
    assert opacities["name"] == "mine"
    assert opacities["sha256"] == read_card(tmp_path / "mine").sha256
    assert [model["own"] for model in (lungs, opacities, slices)] == [False, True, False]
    notices = {notice.code: notice for notice in analysis.notices}
    assert notices["own-model"].text.startswith("The user's own model was used for the opacities (mine 1.0)")
    assert notices["no-opacity-kinds"].severity == "warn"
    assert not (analysis.opacities == 2).any()
    assert not analysis.opacities[analysis.lungs == 0].any()
