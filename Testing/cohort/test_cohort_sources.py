"""Which scans a source holds."""

from __future__ import annotations

import os

import pytest

from CovidCTLib.cohort.sources import find_scans, id_of
from CovidCTLib.errors import InputError, OptionsError

DICOM = b"\0" * 128 + b"DICM" + b"rest"


@pytest.fixture
def tree(tmp_path):
    files = {
        "CT-0/one.nii.gz": b"1",
        "CT-0/two.nrrd": b"22",
        "CT-4/patient/series/a.dcm": b"333",
        "CT-4/patient/series/b.dcm": b"4444",
        "CT-4/patient/unnamed/IM0001": DICOM,
        "CT-4/patient/DICOMDIR": DICOM,
        "CT-4/export.ZIP": b"55555",
        "CT-4/loose.mhd": b"666666",
        "CT-4/loose.zraw": b"7777777",
        "CT-4/notes.txt": b"not a scan",
        ".hidden/three.nii": b"1",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


def by_path(tree, **options):
    return {os.path.relpath(scan.address, tree): scan for scan in find_scans(str(tree), **options)}


def test_every_kind_of_scan_is_found_with_its_size(tree):
    found = by_path(tree)
    assert {name: scan.bytes for name, scan in found.items()} == {
        "CT-0/one.nii.gz": 1,
        "CT-0/two.nrrd": 2,
        "CT-4/patient/series": 7,
        "CT-4/patient/unnamed": len(DICOM),
        "CT-4/export.ZIP": 5,
        "CT-4/loose.mhd": 13,
    }
    assert found["CT-4/loose.mhd"].beside == ("loose.zraw",)
    assert {scan.class_name for scan in found.values()} == {""}


def test_ids_tell_nothing_of_the_path_and_stay_when_the_tree_moves(tree, tmp_path_factory):
    here = find_scans(str(tree))
    assert all(scan.id.startswith("scan-") and len(scan.id) == 17 for scan in here)
    assert [scan.id for scan in here] == sorted(scan.id for scan in here)
    moved = tmp_path_factory.mktemp("elsewhere") / "tree"
    tree.rename(moved)
    there = find_scans(str(moved))
    assert [(scan.id, scan.stamp) for scan in here] == [(scan.id, scan.stamp) for scan in there]


def test_the_stamp_changes_with_the_file(tree):
    before = by_path(tree)["CT-0/one.nii.gz"].stamp
    (tree / "CT-0/one.nii.gz").write_bytes(b"2 and more")
    assert by_path(tree)["CT-0/one.nii.gz"].stamp != before


def test_folders_become_classes_on_request_only(tree):
    found = by_path(tree, class_of_folder=True)
    assert found["CT-0/one.nii.gz"].class_name == "CT-0"
    assert found["CT-4/patient/series"].class_name == "CT-4"
    assert set(by_path(tree, class_of_folder=True, classes=["CT-0"])) == {"CT-0/one.nii.gz", "CT-0/two.nrrd"}


def test_a_pattern_chooses_scans(tree):
    assert set(by_path(tree, include="*.nii.gz")) == {"CT-0/one.nii.gz"}
    with pytest.raises(InputError, match=r"there is none whose path matches --include"):
        find_scans(str(tree), include="*.mha")


def test_a_single_file_and_a_single_series_are_sources_too(tree):
    assert [scan.address for scan in find_scans(str(tree / "CT-0/one.nii.gz"))] == [str(tree / "CT-0/one.nii.gz")]
    series = tree / "CT-4/patient/series"
    assert [scan.address for scan in find_scans(str(series))] == [str(series)]


def test_a_source_without_scans_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("x" * 500, encoding="utf-8")
    with pytest.raises(InputError, match=r"A source with scans \(\.nii.* was expected, but among its 1 files there is"):
        find_scans(str(tmp_path))


def test_a_source_of_links_says_that_they_are_not_followed(tree, tmp_path):
    links = tmp_path / "links"
    links.mkdir()
    (links / "one.nii.gz").symlink_to(tree / "CT-0/one.nii.gz")
    with pytest.raises(InputError, match=r"none, and its 1 links are not followed\. Give the folder that they lead to"):
        find_scans(str(links))


def test_a_class_that_does_not_occur_is_refused_with_those_that_do(tree):
    with pytest.raises(OptionsError, match=r"CT-9 does not; those of the source are CT-0, CT-4"):
        find_scans(str(tree), class_of_folder=True, classes=["CT-9"])
    with pytest.raises(OptionsError, match="the source gives no class to any scan"):
        find_scans(str(tree), classes=["CT-0"])


def test_a_manifest_gives_ids_classes_and_sizes(tree):
    (tree / "list.csv").write_text("path,id,class\nCT-0/two.nrrd,b,x\nCT-4/patient/series,a,y\n", encoding="utf-8")
    found = find_scans(str(tree / "list.csv"))
    assert [(scan.id, scan.bytes, scan.class_name) for scan in found] == [("a", 7, "y"), ("b", 2, "x")]
    (tree / "list.csv").write_text("path\nCT-0/two.nrrd\n", encoding="utf-8")
    assert [scan.id for scan in find_scans(str(tree / "list.csv"))] == [id_of(str(tree / "CT-0/two.nrrd"))]


def test_missing_scans_of_a_manifest_are_named_by_their_rows(tree):
    lines = ["path,id", "CT-0/two.nrrd,a", "CT-0/JaneDoe.nii,b", "CT-0/gone.nii,c"]
    (tree / "list.csv").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(InputError, match=r"Every scan .* but 2 of 3 cannot be found \(rows 2, 3\)") as caught:
        find_scans(str(tree / "list.csv"))
    assert "Jane" not in str(caught.value)


@pytest.mark.parametrize("options", [{"include": "*"}, {"class_of_folder": True}])
def test_what_a_manifest_says_itself_is_not_asked_for_twice(tree, options):
    (tree / "list.csv").write_text("path\nCT-0/two.nrrd\n", encoding="utf-8")
    with pytest.raises(OptionsError, match="A manifest names its scans and classes itself"):
        find_scans(str(tree / "list.csv"), **options)
