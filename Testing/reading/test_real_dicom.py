"""The shared DICOM files against the tags, each other and GDCM."""

from __future__ import annotations

import csv

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from CovidCTLib.errors import InputError
from CovidCTLib.reading import list_series, read_scan
from CovidCTLib.reading.dicom_pixels import stored_to_hu


def hu_of(path):
    dataset = pydicom.dcmread(path)
    return stored_to_hu(
        dataset.pixel_array,
        slope=float(dataset.RescaleSlope),
        intercept=float(dataset.RescaleIntercept),
        bits_stored=dataset.BitsStored,
        padding=(dataset.PixelPaddingValue,) * 2 if "PixelPaddingValue" in dataset else None,
    )


@pytest.fixture(scope="module")
def covid_scan(shared_data):
    return read_scan(shared_data / "dicom" / "covid_P001")


def test_the_hospital_scan_agrees_with_gdcm_voxel_by_voxel(shared_data, covid_scan):
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(shared_data / "dicom" / "covid_P001")))
    image = reader.Execute()
    np.testing.assert_array_equal(covid_scan.hu, sitk.GetArrayViewFromImage(image))
    np.testing.assert_allclose(covid_scan.geometry.spacing_xyz_mm, image.GetSpacing(), rtol=1e-6)
    np.testing.assert_allclose(covid_scan.geometry.origin_lps_mm, image.GetOrigin(), atol=1e-6)
    np.testing.assert_allclose(covid_scan.geometry.direction_lps, image.GetDirection(), atol=1e-9)


def test_the_hospital_scan_is_read_with_its_facts(covid_scan):
    facts = covid_scan.facts
    assert covid_scan.hu.shape == (148, 512, 512)
    assert covid_scan.hu.dtype == np.int16
    assert covid_scan.notices == ()
    assert (facts.kernel, facts.manufacturer, facts.slice_thickness_mm) == ("D40s", "SIEMENS", 2)
    assert facts.study_date is None


def test_the_slices_lie_where_the_radiologists_saw_them(shared_data, covid_scan):
    with (shared_data / "dicom" / "covid_P001_slices.csv").open() as file:
        rows = list(csv.DictReader(file))
    locations = sorted(float(row["slice_location_mm"]) for row in rows)
    first = covid_scan.geometry.origin_lps_mm[2]
    positions = first + covid_scan.geometry.spacing_xyz_mm[2] * np.arange(148)
    np.testing.assert_allclose(positions, locations, atol=0.01)


@pytest.mark.parametrize("image", ["CT1", "CT2"])
def test_lossless_encodings_of_one_image_give_the_same_hu(shared_data, image):
    folder = shared_data / "awkward" / "nema_compressed_ct"
    plain, extremes, _ = hu_of(folder / f"{image}_UNC")
    assert extremes is not None
    assert plain.min() == -1024
    for encoding in ("RLE", "JPLL", "JLSL", "J2KR"):
        path = folder / f"{image}_{encoding}"
        if path.exists():
            np.testing.assert_array_equal(hu_of(path)[0], plain, err_msg=encoding)


def test_lossy_encodings_stay_near(shared_data):
    folder = shared_data / "awkward" / "nema_compressed_ct"
    plain = hu_of(folder / "CT2_UNC")[0].astype(int)
    for encoding in ("JLSN", "J2KI"):
        assert np.abs(hu_of(folder / f"CT2_{encoding}")[0] - plain).mean() < 20


def test_the_outside_of_the_scan_circle_is_air(shared_data):
    for path in sorted((shared_data / "dicom" / "padding_2000").iterdir()):
        stored = pydicom.dcmread(path).pixel_array
        hu, extremes, _ = hu_of(path)
        assert (stored == -2000).any()
        assert (hu[stored == -2000] == -1024).all()
        np.testing.assert_array_equal(hu[stored != -2000], np.maximum(stored[stored != -2000] - 1024, -1024))
        assert extremes[0] >= -1024


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("awkward/broken_series/slicecount", "holds only MR images"),
        ("awkward/broken_series/sliceorientation", "holds only MR images"),
        ("awkward/nema_compressed_ct", "none of the 4 series in the folder can be used"),
        ("awkward/misc", "none of the 3 series in the folder can be used"),
        ("awkward/misc/eCT_Supplemental.dcm", "maps computed from a CT"),
        ("awkward/misc/20-wrong-transfer-syntax.dcm", "at least 2 slices was expected, but there is 1"),
        ("dicom/padding_2000", "at most 20 mm apart"),
    ],
)
def test_series_that_are_no_whole_ct_are_refused(shared_data, folder, message):
    with pytest.raises(InputError, match=message):
        read_scan(shared_data / folder)


def test_the_tilted_series_is_straightened(shared_data):
    scan = read_scan(shared_data / "awkward" / "broken_series" / "gantrytilting")
    (notice,) = scan.notices
    assert notice.code == "gantry-tilt"
    assert notice.value == pytest.approx(14, abs=0.1)
    assert scan.hu.shape == (4, 521, 512)


def test_files_without_preamble_are_found(shared_data):
    kernels = {summary.kernel for summary in list_series(shared_data / "awkward" / "misc")}
    assert "B40f" in kernels


def test_every_shared_volume_is_read(shared_data):
    names = ["volumes/case_04_ct.nii.gz", "controls/normal_001_ct.nii.gz"]
    names += [f"awkward/cip/{name}.nrrd" for name in ("ct-64", "ct-64-transformed", "TestInput")]
    for name in names:
        scan = read_scan(shared_data / name)
        assert scan.notices == ()
        assert scan.hu.min() >= -1024


def test_shared_masks_are_refused(shared_data):
    for name in ("volumes/case_04_lungs.nii.gz", "awkward/cip/lm-64.nrrd", "awkward/cip/wholeLung-64.nrrd"):
        with pytest.raises(InputError, match="like a mask"):
            read_scan(shared_data / name)
