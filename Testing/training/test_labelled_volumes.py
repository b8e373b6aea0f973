"""CT volumes with masks and tables: what is refused because files do not fit or contradict each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from training_folder import SHAPE, chest, read_only, write_volume

from CovidCTLib.errors import TrainingDataError
from CovidCTLib.geometry import Geometry
from CovidCTLib.labelled_data.masks import GRID_TOLERANCE_VOXELS, corner_distance_voxels, read_mask


def write_table(folder: Path, name: str, rows: str, columns: str = "slice_index,abnormal") -> None:
    (folder / f"{name}_slices.csv").write_text(f"{columns}\n{rows}")


def change_lungs(folder: Path, **header: tuple[float, ...]) -> None:
    """Change the header of the lung mask of the case "ward"."""
    path = folder / "ward_lungs.nii.gz"
    image = sitk.ReadImage(str(path))
    for name, value in header.items():
        getattr(image, f"Set{name.capitalize()}")(value)
    sitk.WriteImage(image, str(path))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            {"spacing": (4.09, 3.91, 5.09)},
            r"but has spacing 4\.09 x 3\.91 x 5\.09 instead of 4 x 4 x 5 mm\. Resample it",
        ),
        ({"origin": (0, 0, 1.5)}, r"but has origin \(0, 0, 1\.5\) instead of \(0, 0, 0\) mm\. Resample it"),
        ({"direction": (-1, 0, 0, 0, -1, 0, 0, 0, 1)}, r"but has direction \(-1, 0, 0, .* instead of \(1, 0, 0, "),
        (
            {"origin": (9, 0, 0), "spacing": (4, 4, 6)},
            r"but has spacing 4 x 4 x 6 .* mm; origin \(9, 0, 0\) instead of",
        ),
    ],
    ids=["spacing", "origin", "direction", "two"],
)
def test_a_mask_of_another_grid_is_refused_by_what_differs(
    tmp_path: Path, header: dict[str, tuple[float, ...]], message: str
) -> None:
    write_volume(tmp_path, "ward", 1)
    change_lungs(tmp_path, **header)
    with pytest.raises(TrainingDataError, match=rf"ward_lungs\.nii\.gz must lie on the grid of its CT, {message}"):
        read_only(tmp_path)


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    write_volume(tmp_path, "ward", 1)
    path = str(tmp_path / "ward_lungs.nii.gz")
    sitk.WriteImage(sitk.ReadImage(path)[:, :, :4], path)
    with pytest.raises(TrainingDataError, match=r"but has 48 x 48 x 4 instead of 48 x 48 x 6 voxels\. Resample"):
        read_only(tmp_path)


def test_a_mask_may_lie_a_fraction_of_a_voxel_off(tmp_path: Path) -> None:
    write_volume(tmp_path, "ward", 1)
    change_lungs(tmp_path, origin=(0.9, 0, 0))
    assert read_only(tmp_path).lungs.any()
    change_lungs(tmp_path, origin=(1.1, 0, 0))
    with pytest.raises(TrainingDataError, match=r"origin \(1\.1, 0, 0\)"):
        read_only(tmp_path)


def test_corners_are_measured_in_voxels() -> None:
    grid = Geometry((5, 4, 3), (0.5, 1.0, 2.0), (7.0, -3.0, 1.0), (0, 1, 0, -1, 0, 0, 0, 0, 1))
    shifted = Geometry((5, 4, 3), (0.5, 1.0, 2.0), (7.0, -3.0, 2.0), grid.direction_lps)
    stretched = Geometry((5, 4, 3), (0.5, 1.0, 2.1), grid.origin_lps_mm, grid.direction_lps)
    assert corner_distance_voxels(grid, grid) == pytest.approx(0, abs=1e-12)
    assert corner_distance_voxels(shifted, grid) == pytest.approx(0.5)
    assert corner_distance_voxels(stretched, grid) == pytest.approx(4 * 0.05)
    assert corner_distance_voxels(stretched, grid) < GRID_TOLERANCE_VOXELS < corner_distance_voxels(shifted, grid)


def test_a_mask_of_several_values_a_voxel_is_refused_by_its_name(tmp_path: Path) -> None:
    write_volume(tmp_path, "ward", 1)
    path = str(tmp_path / "ward_lungs.nii.gz")
    mask = sitk.ReadImage(path)
    sitk.WriteImage(sitk.Compose(mask, mask), path)
    with pytest.raises(TrainingDataError, match=r"ward_lungs\.nii\.gz must be 3D .* 3 dimensions and 2 values a voxel"):
        read_only(tmp_path)
    sitk.WriteImage(mask[:, :, 2], path)
    with pytest.raises(TrainingDataError, match=r"must be 3D .* but has 2 dimensions and 1 value a voxel\. Export"):
        read_only(tmp_path)


def test_a_mask_with_an_impossible_header_is_refused_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_volume(tmp_path, "ward", 1)
    read = sitk.ReadImage

    def sheared(path: str) -> sitk.Image:
        image = read(path)
        image.SetDirection((1, 0.5, 0, 0, 1, 0, 0, 0, 1))
        return image

    monkeypatch.setattr("CovidCTLib.labelled_data.masks.sitk.ReadImage", sheared)
    with pytest.raises(TrainingDataError, match=r"^The mask ward_lungs\.nii\.gz: The direction matrix must hold"):
        read_mask(tmp_path / "ward_lungs.nii.gz", Geometry(SHAPE), 2)


@pytest.mark.parametrize(
    ("value", "found"),
    [(0.5, "holds 0.5"), (3.0, "goes from 0 to 3"), (-1.0, "goes from -1 to 2")],
)
def test_labels_that_are_none_are_named(tmp_path: Path, value: float, found: str) -> None:
    write_volume(tmp_path, "ward", 1)
    path = tmp_path / "ward_lungs.nii.gz"
    image = sitk.ReadImage(str(path))
    labels = sitk.GetArrayFromImage(image).astype(np.float32)
    labels[1, 2, 3], labels[-1, -1, -1] = value, 2
    spoiled = sitk.GetImageFromArray(labels)
    spoiled.CopyInformation(image)
    sitk.WriteImage(spoiled, str(path))
    message = rf"^The mask ward_lungs\.nii\.gz must hold whole numbers from 0 to 2, but {found}\. Correct the mask\.$"
    with pytest.raises(TrainingDataError, match=message):
        read_mask(path, Geometry.from_image(image), 2)


def test_a_normal_ct_may_show_no_opacities(tmp_path: Path) -> None:
    write_volume(tmp_path, "Normal_ward", 1)
    with pytest.raises(TrainingDataError, match=r"Normal_ward_opacities\.nii\.gz must be empty, as a name that begins"):
        read_only(tmp_path)
    (tmp_path / "Normal_ward_opacities.nii.gz").unlink()
    assert not read_only(tmp_path).abnormal.any()
    write_table(tmp_path, "Normal_ward", "1,0\n2,1\n")
    with pytest.raises(TrainingDataError, match=r"must call no slice abnormal, .* it does so for 1\. Rename the CT"):
        read_only(tmp_path)


def test_a_table_that_calls_painted_slices_normal_is_refused(tmp_path: Path) -> None:
    write_volume(tmp_path, "ward", 1)
    write_table(tmp_path, "ward", "0,0\n2,1\n3,0\n")
    message = r"ward_slices\.csv and ward_opacities\.nii\.gz must agree, but the table calls 1 of the slices with"
    with pytest.raises(TrainingDataError, match=rf"{message} painted opacities normal\. Correct one of them\.$"):
        read_only(tmp_path)
    with pytest.raises(TrainingDataError, match=r"Correct one of them, or take --reversed-table back\.$"):
        read_only(tmp_path, reversed_tables=["ward"])
    write_table(tmp_path, "ward", "0,0\n2,1\n3,1\n")
    image = read_only(tmp_path)
    assert image.abnormal.tolist() == [0, -1, 1, 1, -1, -1]
    assert image.opacities[2:4].any(axis=(1, 2)).all()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("6,1\n", "line 2 names slice 6, but the scan has slices 0 to 5"),
        ("0,1\n-1,1\n", "line 3 names slice -1, but"),
        ("0,1\n0,0\n", r"^ward_slices\.csv, line 3 names a slice that another line names too\. Leave one of them"),
        ("0.5,1\n", r"line 2: slice_index must be a whole number, not 0\.5"),
        ("0,2\n", "line 2: abnormal must be 0 or 1, not '2'"),
    ],
)
def test_wrong_rows_of_a_table_are_refused(tmp_path: Path, rows: str, message: str) -> None:
    write_volume(tmp_path, "ward", 1, opacities=False)
    write_table(tmp_path, "ward", rows)
    with pytest.raises(TrainingDataError, match=message):
        read_only(tmp_path)


def test_slices_are_found_by_their_height(tmp_path: Path) -> None:
    write_volume(tmp_path, "ward", 1, opacities=False)
    write_table(tmp_path, "ward", "0;0\n5,2;1\n25;1\n", "slice_location_mm;abnormal")
    assert read_only(tmp_path).abnormal.tolist() == [0, 1, -1, -1, -1, 1]
    write_table(tmp_path, "ward", "31,1\n", "slice_location_mm,abnormal")
    with pytest.raises(TrainingDataError, match=r"names a slice at 31 mm, but the scan goes from 0 to 25 mm\. Correct"):
        read_only(tmp_path)
    write_table(tmp_path, "ward", "5,1\n6,1\n", "slice_location_mm,abnormal")
    with pytest.raises(TrainingDataError, match="line 3 names a slice that another line names too"):
        read_only(tmp_path)


def test_a_table_without_numbers_of_slices_is_asked_for_them(tmp_path: Path) -> None:
    write_volume(tmp_path, "ward", 1, opacities=False)
    write_table(tmp_path, "ward", "1,1\n", "slice,abnormal")
    with pytest.raises(
        TrainingDataError, match=r"must have the columns slice_index, abnormal .* but lacks slice_index"
    ):
        read_only(tmp_path)


def test_slices_of_a_file_that_runs_from_the_head_are_counted_as_in_the_file(tmp_path: Path) -> None:
    write_volume(tmp_path, "ward", 1, opacities=False)
    for part in ("ct", "lungs"):
        path = str(tmp_path / f"ward_{part}.nii.gz")
        sitk.WriteImage(sitk.Flip(sitk.ReadImage(path), (False, False, True)), path)
    write_table(tmp_path, "ward", "0,1\n5,0\n")
    image = read_only(tmp_path)
    assert image.abnormal.tolist() == [0, -1, -1, -1, -1, 1]
    assert np.array_equal(image.lungs.any(axis=(1, 2)), [False, True, True, True, True, False])


def turn(folder: Path, degrees: float) -> None:
    """Turn the case "ward", masks included, about the patient's long axis."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    for path in folder.glob("ward_*.nii.gz"):
        image = sitk.ReadImage(str(path))
        image.SetDirection((c, -s, 0, s, c, 0, 0, 0, 1))
        sitk.WriteImage(image, str(path))


def test_masks_of_an_oblique_ct_hold_painted_labels_only(tmp_path: Path) -> None:
    write_volume(tmp_path, "ward", 1)
    path = tmp_path / "ward_opacities.nii.gz"
    sitk.WriteImage((sitk.ReadImage(str(path)) > 0) * 2, str(path))
    turn(tmp_path, 20)
    assert set(np.unique(read_only(tmp_path).opacities)) == {0, 2}


def test_a_table_of_slices_that_are_not_axial_is_refused(tmp_path: Path) -> None:
    write_volume(tmp_path, "ward", 1, opacities=False)
    write_table(tmp_path, "ward", "0,0\n3,1\n")
    turn(tmp_path, 20)
    with pytest.raises(TrainingDataError, match=r"those of ward are turned by 20 degrees\. Give masks instead"):
        read_only(tmp_path)


@pytest.mark.parametrize(
    ("rows", "turned"),
    [
        ("0,0\n1,1\n", [-1, -1, -1, -1, 1, 0]),
        ("0,0\n2,1\n3,0\n", [-1, -1, 0, 1, -1, 0]),
        ("0,0\n1,1\n2,1\n3,1\n4,0\n5,0\n", [0, 0, 1, 1, 1, 0]),
    ],
    ids=["begin", "gaps", "complete"],
)
@pytest.mark.parametrize("from_the_head", [False, True])
def test_a_reversed_table_counts_from_the_other_end_of_the_scan(
    tmp_path: Path, rows: str, turned: list[int], from_the_head: bool
) -> None:
    write_volume(tmp_path, "ward", 1, opacities=False)
    for part in ("ct", "lungs"):
        path = str(tmp_path / f"ward_{part}.nii.gz")
        sitk.WriteImage(sitk.Flip(sitk.ReadImage(path), (False, False, from_the_head)), path)
    write_table(tmp_path, "ward", rows)
    expected = turned[::-1] if from_the_head else turned
    assert read_only(tmp_path, reversed_tables=["ward"]).abnormal.tolist() == expected


def test_a_reversed_table_of_heights_must_name_every_slice(tmp_path: Path) -> None:
    write_volume(tmp_path, "ward", 1, opacities=False)
    heights = [f"{5 * k},{int(k in (1, 2))}\n" for k in range(SHAPE[0])]
    write_table(tmp_path, "ward", "".join(heights), "slice_location_mm,abnormal")
    assert read_only(tmp_path, reversed_tables=["ward"]).abnormal.tolist() == [0, 0, 0, 1, 1, 0]
    write_table(tmp_path, "ward", "".join(heights[:4]), "slice_location_mm,abnormal")
    assert read_only(tmp_path).abnormal.tolist() == [0, 1, 1, 0, -1, -1]
    with pytest.raises(
        TrainingDataError,
        match=r"^ward_slices\.csv must name every slice to be turned by --reversed-table, .* but names 4 of 6\. Add",
    ):
        read_only(tmp_path, reversed_tables=["ward"])


def write_dicom(folder: Path) -> None:
    """Write a CT of six slices, 5 mm apart from the height 0, as DICOM files."""
    folder.mkdir()
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for k, plane in enumerate(chest(1)[0]):
        image = sitk.GetImageFromArray(plane)
        image.SetSpacing((4.0, 4.0))
        tags = {
            "0008|0060": "CT",
            "0008|0016": "1.2.840.10008.5.1.4.1.1.2",
            "0008|0018": f"1.2.3.{k + 1}",
            "0020|000d": "1.2.4",
            "0020|000e": "1.2.5",
            "0020|0032": f"0\\0\\{5 * k}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
        }
        for tag, value in tags.items():
            image.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{k}.dcm"))
        writer.Execute(image)


@pytest.mark.parametrize("name", ["normal_1", "Normal_1", "NORMAL_1"])
def test_a_normal_dicom_folder_may_have_no_abnormal_slices(tmp_path: Path, name: str) -> None:
    write_dicom(tmp_path / name)
    write_table(tmp_path, name, "0,0\n5,1\n", "slice_location_mm,abnormal")
    with pytest.raises(
        TrainingDataError, match=rf"^{name}_slices\.csv must call no slice abnormal, .* so for 1\. Rename"
    ):
        read_only(tmp_path)
    write_table(tmp_path, name, "0,0\n5,0\n", "slice_location_mm,abnormal")
    assert read_only(tmp_path).abnormal.tolist() == [0, 0, -1, -1, -1, -1]
