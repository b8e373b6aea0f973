"""Bad arguments, output folders, models, pictures, training and evaluation folders of the terminal's commands."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import broken_files as broken
import numpy as np
from bad_inputs import BadInput
from dicom_maker import chest_like
from PIL import Image


def words(name: str, command: str, what: str, *arguments: str) -> BadInput:
    """Arguments that are wrong by themselves."""
    return BadInput(name, f"covidct {command}".strip(), what, lambda folder: list(arguments))


def analyze(name: str, what: str, *options: str) -> BadInput:
    """A wrong option of ``covidct analyze``, with a good CT."""

    def given(folder: Path) -> list[str]:
        return [str(broken.volume(folder / "ct.nii.gz")), "-o", "out", *options]

    return BadInput(name, "covidct analyze", what, given)


ARGUMENTS = (
    words("no-command", "", "no command"),
    words("unknown-command", "", "an unknown command", "cure"),
    words("nothing-to-analyze", "analyze", "neither input nor output"),
    words("no-output", "analyze", "no output folder", "ct.nii.gz"),
    words("unknown-option", "demo", "an unknown option", "--quiett"),
    words("shortened-option", "analyze", "a shortened option", "ct.nii.gz", "-o", "out", "--ser", "1"),
    words("too-many-words", "demo", "a word too many", "here"),
    analyze("threads-in-words", "--threads in words", "--threads", "many"),
    analyze("threads-0", "--threads 0", "--threads", "0"),
    analyze("vessel-nan", "--vessel nan", "--vessel", "nan"),
    analyze("vessel-infinite", "--vessel inf", "--vessel", "inf"),
    analyze("vessel-in-words", "--vessel in words", "--vessel", "high"),
    analyze("high-opacity-nan", "--high-opacity nan", "--high-opacity", "nan"),
    analyze("slice-threshold-0", "--slice-threshold 0", "--slice-threshold", "0"),
    analyze("slice-threshold-1.5", "--slice-threshold 1.5", "--slice-threshold", "1.5"),
    analyze("case-threshold-1", "--case-threshold 1", "--case-threshold", "1"),
    analyze("case-threshold-negative", "--case-threshold -0.1", "--case-threshold", "-0.1"),
    analyze("unknown-engine", "an unknown way to find lungs", "--lungs", "magic"),
    analyze("unknown-progress", "an unknown kind of progress", "--progress", "loud"),
    words("demo-threads-negative", "demo", "--threads -3", "--threads", "-3"),
)


def output(name: str, what: str, make: Callable[[Path], object], out: str = "out") -> BadInput:
    """A place where results cannot go."""

    def given(folder: Path) -> list[str]:
        make(folder)
        return [str(broken.volume(folder / "ct.nii.gz")), "-o", out]

    return BadInput(name, "covidct analyze", what, given)


def demo_into_a_full_folder(folder: Path) -> list[str]:
    """Fill the folder that the demo would take."""
    broken.filled_output(folder)
    return ["-o", "out"]


def batch(name: str, what: str, make: Callable[[Path], object], *options: str, out: str = "out") -> BadInput:
    """A folder, a place or an option that ``covidct batch`` cannot use."""

    def given(folder: Path) -> list[str]:
        make(folder)
        return ["in", "-o", out, *options]

    return BadInput(name, "covidct batch", what, given)


def _cts(folder: Path) -> None:
    (folder / "in").mkdir()
    broken.volume(folder / "in" / "ct.nii.gz")


def _other_table(folder: Path) -> None:
    _cts(folder)
    (folder / "out").mkdir()
    (folder / "out" / "cases.csv").write_text("name,size\nct.nii.gz,3\n")


COMMAND_BATCHES = (
    batch("batch-command-nowhere", "a folder that is not there", lambda f: None),
    batch("batch-command-empty", "an empty folder", lambda f: (f / "in").mkdir()),
    batch("batch-command-into-itself", "the same folder for CTs and results", _cts, out="in"),
    batch("batch-command-onto-a-file", "an output that is a file", lambda f: (_cts(f), (f / "out").write_text("x"))),
    batch("batch-command-other-table", "an output folder with another program's table", _other_table),
    batch("batch-command-device", "a graphics card that is not there", _cts, "--device", "cuda:99"),
    batch("batch-command-models", "a folder of own networks that is not there", _cts, "--models", "nothing"),
)

OUTPUTS = (
    output("output-with-content", "an output folder with content", broken.filled_output),
    output("output-is-a-file", "an output that is a file", lambda f: (f / "out").write_text("mine")),
    output("output-under-a-file", "an output under a file", lambda f: (f / "out").write_text("mine"), "out/deep/er"),
    output("output-name-too-long", "a name of 300 characters", lambda f: None, "x" * 300),
    output("output-with-zero", "a name with a zero character", lambda f: None, "a\0b"),
    BadInput("demo-output-with-content", "covidct demo", "an output folder with content", demo_into_a_full_folder),
)


def _bundle(folder: Path, **section: object) -> Path:
    from bundle_maker import SLICE, SLICE_SECTION, make_bundle

    return make_bundle(folder / "own", SLICE, {**SLICE_SECTION, **section})


def _with_definition(folder: Path, **definition: object) -> Path:
    from bundle_maker import SLICE, SLICE_SECTION, make_bundle

    return make_bundle(folder / "own", {**SLICE, **definition}, SLICE_SECTION)


def _without_weights(folder: Path) -> Path:
    bundle = _bundle(folder)
    (bundle / "models" / "model.pt").unlink()
    return bundle


def _other_weights(folder: Path) -> Path:
    bundle = _bundle(folder)
    broken.cut(bundle / "models" / "model.pt", 1000)
    return bundle


def _cut_weights(folder: Path) -> Path:
    import hashlib

    bundle = _other_weights(folder)
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    metadata["covidct"]["sha256"] = hashlib.sha256((bundle / "models" / "model.pt").read_bytes()).hexdigest()
    (bundle / "configs" / "metadata.json").write_text(json.dumps(metadata))
    return bundle


def _text_as_metadata(folder: Path) -> Path:
    bundle = _bundle(folder)
    (bundle / "configs" / "metadata.json").write_text("{not JSON")
    return bundle


def _two_of_one_role(folder: Path) -> Path:
    home = folder / "both"
    home.mkdir()
    shutil.copytree(_bundle(folder), home / "first")
    shutil.copytree(home / "first", home / "second")
    return home


def _no_section(folder: Path) -> Path:
    from bundle_maker import SLICE, make_bundle

    return make_bundle(folder / "own", SLICE, None)


def models(name: str, what: str, make: Callable[[Path], Path], *options: str) -> BadInput:
    """Own models that cannot be used; ``make`` gives their folder."""
    return BadInput(name, "covidct models", what, lambda folder: [*options, "--models", str(make(folder))])


def with_models(name: str, what: str, make: Callable[[Path], Path]) -> BadInput:
    """Own models with which nothing can be analyzed."""

    def given(folder: Path) -> list[str]:
        return [str(broken.volume(folder / "ct.nii.gz")), "-o", "out", "--device", "cpu", "--models", str(make(folder))]

    return BadInput(name, "covidct analyze", what, given)


def _evaluation(content: str) -> Callable[[Path], list[str]]:
    def given(folder: Path) -> list[str]:
        (folder / "evaluation.json").write_text(content)
        return ["opacities", "--models", str(_bundle(folder)), "--add-validation", "evaluation.json"]

    return given


def _lone_evaluation(folder: Path) -> list[str]:
    return ["opacities", "--models", str(_bundle(folder)), "--add-validation", "evaluation.json"]


MODELS = (
    words("unknown-model", "models", "a model that is not there", "spleen"),
    words("figures-without-model", "models", "figures for no model", "--add-validation", "evaluation.json"),
    models("no-models-folder", "a folder that is not there", lambda f: f / "none"),
    models("models-without-bundle", "a folder without bundle", lambda f: f),
    models("metadata-is-text", "metadata that are no JSON", _text_as_metadata),
    models("no-covidct-section", "metadata without the section of CovidCT", _no_section),
    models("network-runs-code", "a network that could run code", lambda f: _with_definition(f, _target_="os.system")),
    models("network-is-expression", "an expression in the network", lambda f: _with_definition(f, norm="$batch")),
    models("unknown-role", "an unknown role", lambda f: _bundle(f, role="spleen")),
    models("window-upside-down", "a window from high to low", lambda f: _bundle(f, window_hu=[200, -1000])),
    models("unknown-channel", "an unknown channel", lambda f: _bundle(f, channels=["background", "x", "ggo"])),
    models("size-in-words", "a size in words", lambda f: _bundle(f, size="large")),
    models("two-of-one-role", "two models of one role", _two_of_one_role),
    BadInput("no-evaluation", "covidct models", "figures of a file that is not there", _lone_evaluation),
    BadInput("evaluation-is-text", "covidct models", "figures that are no JSON", _evaluation("figures")),
    BadInput("evaluation-is-empty", "covidct models", "JSON without figures", _evaluation("{}")),
    with_models("no-weights", "a bundle without weights", _without_weights),
    with_models("other-weights", "weights of another checksum", _other_weights),
    with_models("cut-weights", "weights cut off, with their checksum", _cut_weights),
)


def _pictures(folder: Path, count: int = 3, side: int = 64) -> Path:
    """Save pictures of a gradient."""
    home = folder / "pictures"
    home.mkdir()
    for number in range(count):
        grey = np.add.outer(np.arange(side), np.arange(side) + number).astype(np.uint8)
        Image.fromarray(grey).save(home / f"slice{number}.png")
    return home


def photos(name: str, what: str, *options: str, make: Callable[[Path], object] = _pictures) -> BadInput:
    """A bad input of ``covidct photos``; ``make`` fills the folder."""

    def given(folder: Path) -> list[str]:
        make(folder)
        return [str(folder / "pictures"), *(options if "-o" in options else ("-o", "ct.nii.gz", *options))]

    return BadInput(name, "covidct photos", what, given)


def _text_picture(folder: Path) -> None:
    (folder / "pictures").mkdir()
    (folder / "pictures" / "slice1.png").write_text("no picture")


def _taken_output(folder: Path) -> None:
    _pictures(folder)
    (folder / "ct.nii.gz").write_text("mine")


def _masked(values: np.ndarray) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        _pictures(folder)
        broken.volume(folder / "mask.nii.gz", values)

    return make


NUMBERS = ("--air", "10", "--fat", "100")
PHOTOS = (
    photos("no-references", "no way to the references"),
    photos("two-ways", "two ways to the references", "--auto", *NUMBERS),
    photos("air-without-fat", "--air without --fat", "--air", "10"),
    photos("fat-is-air", "the same value for air and fat", "--air", "10", "--fat", "10"),
    photos("fat-in-words", "--fat in words", "--air", "10", "--fat", "bright"),
    photos("labels-without-mask", "--air-label without mask", *NUMBERS, "--air-label", "3"),
    photos("photos-into-png", "an output that is no .nii.gz", "-o", "ct.png", *NUMBERS),
    photos("photos-into-no-folder", "an output in a folder that is not there", "-o", "no/ct.nii.gz", *NUMBERS),
    photos("photos-over-a-file", "an output that is there", *NUMBERS, make=_taken_output),
    photos("zero-spacing", "a spacing of 0", *NUMBERS, "--spacing", "0", "1", "1"),
    photos("no-pictures-folder", "a folder that is not there", *NUMBERS, make=lambda f: None),
    photos("pictures-are-a-file", "a file", *NUMBERS, make=lambda f: (f / "pictures").write_text("x")),
    photos("empty-pictures", "an empty folder", *NUMBERS, make=lambda f: (f / "pictures").mkdir()),
    photos("text-as-picture", "text named .png", *NUMBERS, make=_text_picture),
    photos("tiny-pictures", "pictures of 8 x 8", *NUMBERS, make=lambda f: _pictures(f, side=8)),
    photos("one-slice-of-pictures", "a single picture", *NUMBERS, make=lambda f: _pictures(f, 1)),
    photos("no-mask", "a mask that is not there", "--references", "mask.nii.gz"),
    photos(
        "mask-of-another-size",
        "a mask of another grid",
        "--references",
        "mask.nii.gz",
        make=_masked((chest_like() > 0).astype(np.uint8)),
    ),
    photos(
        "mask-without-labels",
        "a mask without the labels",
        "--references",
        "mask.nii.gz",
        make=_masked(np.full((3, 512, 512), 7, np.uint8)),
    ),
)


ROWS = (*ARGUMENTS, *OUTPUTS, *COMMAND_BATCHES, *MODELS, *PHOTOS)
