"""What docs/training.md shows is what the terminal and the training folder understand."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from training_folder import chest, write_pictures, write_volume

from CovidCTLib.cli.main import build_parser
from CovidCTLib.labelled_data.labelled import patients_of, read_images
from CovidCTLib.labelled_data.layout import find_cases

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def rename_pictures(folder: Path, numbers: tuple[str, ...]) -> None:
    for part in ("images", "labels"):
        for path, number in zip(sorted((folder / part).iterdir()), numbers, strict=True):
            path.rename(path.with_name(f"{number}.png"))


@pytest.mark.parametrize("line", [line for block in blocks("bash") for line in block.splitlines()])
def test_the_terminal_understands_every_command(line: str) -> None:
    program, *words = shlex.split(line)
    assert program == "covidct"
    assert callable(build_parser().parse_args(words).run)


def test_every_option_is_one_of_the_commands() -> None:
    named = set(re.findall(r"`[^`\n]*?(--[a-z-]+)", PAGE))
    understood = "".join(
        action.format_help()
        for name, action in build_parser()._subparsers._group_actions[0].choices.items()  # type: ignore[union-attr]
        if name in ("train", "evaluate", "models", "photos")
    )
    assert named >= {"--same-patient", "--reversed-table", "--init", "--freeze", "--models"}
    assert not [option for option in named if option not in understood]


def test_its_tables_make_the_cases_that_it_describes(tmp_path: Path) -> None:
    by_index, by_height, calibrated, photographs = blocks("csv")
    write_volume(tmp_path / "ward", "p01", 1, opacities=False)
    (tmp_path / "ward" / "p01_slices.csv").write_text(by_index)
    write_pictures(tmp_path / "export", True, 2)
    rename_pictures(tmp_path / "export", ("012", "013"))
    (tmp_path / "export" / "slices.csv").write_text(calibrated)
    write_pictures(tmp_path / "papers", False, 2)
    rename_pictures(tmp_path / "papers", ("004", "005"))
    (tmp_path / "papers" / "slices.csv").write_text(photographs)
    hu, lungs, _ = chest(3)
    np.savez(tmp_path / "more.npz", image_hu=hu, lungs=lungs, slice_id=[f"a_Z_{k}" for k in range(len(hu))])
    (tmp_path / "dicom" / "p02").mkdir(parents=True)
    (tmp_path / "dicom" / "p02_slices.csv").write_text(by_height)
    cases = {case.name: case for case in find_cases(tmp_path).cases}
    assert {name: case.kind for name, case in cases.items()} == {
        "p01": "volume",
        "p02": "volume",
        "export": "calibrated pictures",
        "papers": "photographs",
        "more": "slice archive",
    }
    assert [patients_of(cases[name]) for name in ("p01", "export", "papers", "more")] == [
        ("p01",),
        ("p1",),
        ("p7",),
        ("a",),
    ]
    assert [image.abnormal.tolist() for image in read_images(cases["p01"])] == [[0, 0, 1, 1, -1, -1]]
    assert len(list(read_images(cases["export"]))) == 2
