"""Which series a folder holds and which one is read; patient data stay out."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pydicom
import pytest
from dicom_maker import SECRET, chest_like, edit, save, slice_dataset, write_series
from pydicom.uid import generate_uid

from CovidCTLib.errors import InputError, SeriesChoiceError
from CovidCTLib.reading import SeriesSummary, list_series, read_scan

CORONAL = (1, 0, 0, 0, 0, -1)
COLUMN = [(0.0, 3.0 * k, 0.0) for k in range(12)]


@pytest.fixture
def two_series(tmp_path):
    """A folder with a thick axial series (number 4) and a thin one (number 7); gives folder and UIDs."""
    thin = write_series(tmp_path / "x", number=7, series="1.2.840.99.1111", prefix="thin")
    thick = write_series(tmp_path / "y", chest_like((6, 20, 24)), number=4, series="1.2.840.99.2222", distance=5)
    return tmp_path, thick, thin


def test_the_list_describes_each_series(two_series):
    folder, _, _ = two_series
    thick, thin = list_series(folder)
    assert thick == SeriesSummary(1, "CT", 6, 20, 24, (5.0, 0.8, 0.7), "axial", "B60f", True, None)
    assert (thin.number, thin.slices, thin.usable) == (2, 12, True)


def test_without_a_choice_the_largest_axial_series_is_read_and_the_number_said(two_series):
    folder, _, _ = two_series
    scan = read_scan(folder)
    assert scan.hu.shape[0] == 12
    (notice,) = scan.notices
    assert (notice.code, notice.severity, notice.value) == ("several-series", "warn", 2)
    assert "series 2 of the list, 12 slices" in notice.text


@pytest.mark.parametrize("wanted", ["1", " 1 ", "1.2.840.99.2222", "2222", ".99.2222"])
def test_a_series_is_chosen_by_number_uid_or_ending(two_series, wanted):
    folder, _, _ = two_series
    scan = read_scan(folder, series=wanted)
    assert scan.hu.shape[0] == 6
    assert scan.notices == ()


@pytest.mark.parametrize("wanted", ["0", "3", "222", "9999", "", "none"])
def test_a_series_that_is_not_there_is_refused(two_series, wanted):
    folder, _, _ = two_series
    with pytest.raises(SeriesChoiceError, match=r"A series from 1 to 2, or the ending of its UID"):
        read_scan(folder, series=wanted)


def test_an_ending_that_fits_several_series_is_refused(tmp_path):
    write_series(tmp_path / "a", series="1.2.1.5555", number=1)
    write_series(tmp_path / "b", series="1.2.2.5555", number=2)
    with pytest.raises(SeriesChoiceError, match=r"One series was expected to end in '5555', but 2 do: 1, 2"):
        read_scan(tmp_path, series="5555")


def test_an_axial_series_is_preferred_to_a_larger_coronal_one(tmp_path):
    write_series(tmp_path / "a", positions=COLUMN, orientation=CORONAL, number=1)
    write_series(tmp_path / "b", chest_like((11, 20, 24)), number=2)
    assert read_scan(tmp_path).hu.shape[0] == 11


def test_a_lone_coronal_series_is_read(tmp_path):
    write_series(tmp_path, positions=COLUMN, orientation=CORONAL)
    assert read_scan(tmp_path).notices == ()


def test_several_series_none_of_them_axial_need_a_choice(tmp_path):
    write_series(tmp_path / "a", positions=COLUMN, orientation=CORONAL, number=1)
    write_series(tmp_path / "b", positions=COLUMN, orientation=CORONAL, number=2)
    with pytest.raises(SeriesChoiceError, match=r"the 2 usable ones are of other orientations. Choose one .* 1, 2"):
        read_scan(tmp_path)


def test_originals_are_preferred_to_a_larger_derived_series(tmp_path):
    write_series(tmp_path / "a", image_type=("DERIVED", "SECONDARY", "AXIAL"), number=1)
    write_series(tmp_path / "b", chest_like((10, 20, 24)), number=2)
    assert read_scan(tmp_path).hu.shape[0] == 10


def test_derived_slices_are_read_when_there_are_no_others_and_it_is_said(tmp_path):
    write_series(tmp_path, image_type=("DERIVED", "SECONDARY", "AXIAL"))
    assert list_series(tmp_path)[0].original is False
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.hu, chest_like())
    assert [notice.code for notice in scan.notices] == ["derived-images"]


def test_localizers_derived_and_dose_images_of_a_series_are_left_out(tmp_path):
    series = write_series(tmp_path)
    for k, words in enumerate([("LOCALIZER",), ("DERIVED",), ("DOSE",), ("MIP",)]):
        stored = np.zeros((40, 50), np.uint16)
        save(
            slice_dataset(stored, (0, 0, 7.7), series=series, image_type=("ORIGINAL", "PRIMARY", *words)),
            tmp_path / f"extra{k}.dcm",
        )
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.hu, chest_like())
    assert scan.notices == ()


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER")}, r"holds only localizers \(scout views\)"),
        ({"sop_class": "1.2.840.10008.5.1.4.1.1.4", "modality": "MR"}, "holds only MR images, not CT slices"),
        (
            {"sop_class": "1.2.840.10008.5.1.4.1.1.7", "modality": "CT", "PixelSpacing": None},
            r"another storage class than CT \(such as Secondary Capture\) .* although they call themselves CT",
        ),
        ({"SamplesPerPixel": 3}, "holds only colour pictures"),
        ({"RescaleType": "MGML"}, "holds only a map of a material or density"),
        ({"RescaleType": "mg/cm3 iodine"}, "holds only a map of a material or density"),
        ({"RescaleType": "Z_EFF"}, "holds only a map of a material or density"),
        ({"image_type": ("DERIVED", "PRIMARY", "AXIAL", "MAT_SPECIFIC")}, "holds only a map of a material or density"),
    ],
)
def test_a_series_that_is_no_ct_stack_is_refused_with_its_reason(tmp_path, keywords, message):
    write_series(tmp_path, **keywords)
    with pytest.raises(InputError, match=message):
        read_scan(tmp_path)
    (summary,) = list_series(tmp_path)
    assert not summary.usable
    assert summary.spacing_zyx_mm is None


@pytest.mark.parametrize("unit", ["HU", "hu ", "US", ""])
def test_hu_and_unspecified_units_are_read_without_a_word(tmp_path, unit):
    write_series(tmp_path, RescaleType=unit)
    assert read_scan(tmp_path).notices == ()


def test_a_unit_that_nobody_knows_is_read_with_a_warning_where_the_values_can_be_hu(tmp_path):
    write_series(tmp_path, RescaleType="Ward 7 scale")
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.hu, chest_like())
    (notice,) = scan.notices
    assert (notice.code, notice.severity) == ("unknown-unit", "warn")
    # The text may be anything that somebody typed.
    assert "Ward" not in notice.text


def test_a_unit_that_nobody_knows_is_refused_where_the_values_cannot_be_hu(tmp_path):
    write_series(tmp_path, np.clip(chest_like(), 0, None).astype(chest_like().dtype), RescaleType="Ward 7 scale")
    with pytest.raises(InputError, match="HU of a chest CT were expected"):
        read_scan(tmp_path)


def test_a_series_of_an_unknown_unit_is_not_chosen_beside_one_in_hu(tmp_path):
    write_series(tmp_path / "a", chest_like((14, 20, 24)), series="1.2.3.1", number=1, RescaleType="Ward 7 scale")
    write_series(tmp_path / "b", chest_like(), series="1.2.3.2", number=2)
    assert read_scan(tmp_path).geometry.shape_zyx[0] == len(chest_like())


def test_a_chosen_series_that_cannot_be_used_is_refused_with_its_reason(two_series):
    folder, _, _ = two_series
    write_series(folder / "z", chest_like()[:1], number=1)
    with pytest.raises(InputError, match=r"Series 1 cannot be used. A CT series of at least 2 slices"):
        read_scan(folder, series="1")


def test_several_series_of_which_none_can_be_used_are_refused_with_a_reason(tmp_path):
    write_series(tmp_path / "a", chest_like()[:1], number=1)
    write_series(tmp_path / "b", sop_class="1.2.840.10008.5.1.4.1.1.4", modality="MR", number=2)
    with pytest.raises(InputError, match=r"none of the 2 series in the folder can be used. The largest, number 1:"):
        read_scan(tmp_path)


def test_other_files_are_skipped(tmp_path):
    write_series(tmp_path / "deep" / "deeper")
    (tmp_path / "readme.txt").write_text("hello")
    (tmp_path / "DICOMDIR").write_bytes(b"x" * 200)
    (tmp_path / ".hidden.dcm").write_bytes(b"")
    report = pydicom.dcmread(next((tmp_path / "deep" / "deeper").iterdir()))
    for keyword in ("Rows", "Columns", "PixelData"):
        del report[keyword]
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    report.save_as(tmp_path / "report.dcm")
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.hu, chest_like())
    assert scan.notices == ()
    assert len(list_series(tmp_path)) == 1


def test_a_single_file_stands_for_its_series(two_series):
    folder, _, _ = two_series
    assert read_scan(folder / "y" / "im002.dcm").hu.shape[0] == 6


def test_a_single_file_without_image_is_refused(tmp_path):
    write_series(tmp_path)
    dataset = pydicom.dcmread(tmp_path / "im000.dcm")
    for keyword in ("Rows", "Columns", "PixelData"):
        del dataset[keyword]
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    dataset.save_as(tmp_path / "report.dcm")
    with pytest.raises(InputError, match=r"this DICOM file holds no image"):
        read_scan(tmp_path / "report.dcm")


def test_a_single_damaged_file_is_refused(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"its header is damaged or cut off"):
        read_scan(tmp_path / "a.dcm")


def test_facts_of_the_acquisition_travel_along_and_the_date_only_on_request(tmp_path):
    write_series(tmp_path)
    facts = read_scan(tmp_path).facts
    assert (facts.source_format, facts.slice_count, facts.kernel) == ("DICOM", 12, "B60f")
    assert (facts.manufacturer, facts.slice_thickness_mm, facts.tube_voltage_kv) == ("other", 99, 120)
    assert facts.study_date is None
    assert read_scan(tmp_path, with_study_date=True).facts.study_date == "2020-03-17"


@pytest.mark.filterwarnings("ignore:Invalid value for VR DA")
@pytest.mark.parametrize("value", ["", "nonsense"])
def test_a_study_date_that_is_no_date_stays_absent(tmp_path, value):
    write_series(tmp_path, StudyDate=value)
    assert read_scan(tmp_path, with_study_date=True).facts.study_date is None


def test_facts_that_are_not_given_stay_absent(tmp_path):
    write_series(tmp_path, Manufacturer="", ConvolutionKernel=None, KVP="", SliceThickness=None)
    facts = read_scan(tmp_path).facts
    assert (facts.manufacturer, facts.kernel, facts.tube_voltage_kv, facts.slice_thickness_mm) == (None,) * 4


def test_a_kernel_of_several_values_is_one_text(tmp_path):
    write_series(tmp_path, ConvolutionKernel=["I50f", "3"])
    assert read_scan(tmp_path).facts.kernel == "I50f\\3"


def test_no_patient_data_in_lists_scans_or_messages(tmp_path, caplog, capfd, recwarn):
    write_series(tmp_path / "a", number=1, PatientBirthDate="not a date " + SECRET)
    write_series(tmp_path / "b", chest_like()[:1], number=2)
    # The writer of the test warns of its own values.
    caplog.clear()
    recwarn.clear()
    texts = [str(list_series(tmp_path)), str(asdict(read_scan(tmp_path))["facts"]), str(read_scan(tmp_path).notices)]
    with pytest.raises(InputError) as caught:
        read_scan(tmp_path, series="2")
    texts += [str(caught.value), caplog.text, *capfd.readouterr(), *(str(w.message) for w in recwarn)]
    for text in texts:
        assert "DOE" not in text
        assert "4711" not in text
        assert "20200317" not in text


def test_values_that_break_the_standard_are_read_in_silence(tmp_path, caplog, capfd, recwarn):
    write_series(tmp_path, series=generate_uid())
    edit(tmp_path / "im000.dcm", PatientBirthDate="1/1/" + SECRET, Manufacturer="M" * 300)
    caplog.clear()
    recwarn.clear()
    capfd.readouterr()
    np.testing.assert_array_equal(read_scan(tmp_path).hu, chest_like())
    assert caplog.text == ""
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


@pytest.mark.parametrize("modality", ["CT", "OT"])
def test_secondary_captures_with_all_that_a_ct_slice_has_are_read_and_said(tmp_path, modality):
    write_series(tmp_path, sop_class="1.2.840.10008.5.1.4.1.1.7", modality=modality)
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.hu, chest_like())
    assert [notice.code for notice in scan.notices] == ["modality-contradicts"]


def test_images_with_a_series_uid_of_their_own_each_are_put_together_and_said(tmp_path):
    write_series(tmp_path)
    for path in tmp_path.iterdir():
        edit(path, SeriesInstanceUID=generate_uid())
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.hu, chest_like())
    assert [(notice.code, notice.value) for notice in scan.notices] == [("series-put-together", 12)]


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("KVP", b"120kV "), ("SliceThickness", b"n/a "), ("SeriesNumber", b"ANON"), ("SliceLocation", b"none")],
)
def test_an_unreadable_value_that_no_volume_needs_costs_a_note(tmp_path, keyword, value):
    write_series(tmp_path)
    for path in tmp_path.iterdir():
        set_raw(path, keyword, value)
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.hu, chest_like())
    (notice,) = scan.notices
    assert (notice.code, notice.severity) == ("unreadable-values", "note")
    assert keyword in notice.text
    assert value.decode().strip() not in notice.text


def test_decimal_commas_are_read(tmp_path):
    write_series(tmp_path)
    for path in tmp_path.iterdir():
        set_raw(path, "PixelSpacing", b"0,8\\0,7 ")
    assert read_scan(tmp_path).geometry.spacing_zyx_mm[1:] == (0.8, 0.7)


def set_raw(path, keyword, value):
    """Put a value into a file as it stands, unchecked."""
    dataset = pydicom.dcmread(path)
    tag = pydicom.tag.Tag(keyword)
    kind = pydicom.datadict.dictionary_VR(tag)
    dataset[tag] = pydicom.dataelem.RawDataElement(tag, kind, len(value), value, 0, False, True)
    dataset.save_as(path)


def test_phases_of_one_series_are_reached_by_the_acquisition(tmp_path):
    series = write_series(tmp_path, NominalPercentageOfCardiacPhase=40)
    write_series(tmp_path, chest_like() + 5, series=series, prefix="b", NominalPercentageOfCardiacPhase=70)
    np.testing.assert_array_equal(read_scan(tmp_path, acquisition=1).hu, chest_like())
    np.testing.assert_array_equal(read_scan(tmp_path, acquisition=2).hu, chest_like() + 5)


def test_a_doubled_slice_with_other_pixels_is_left_out_and_said(tmp_path):
    series = write_series(tmp_path)
    hu = chest_like()
    extra = slice_dataset((hu[4] + 1024 + 9).astype(np.uint16), (-10, -20, 5 + 2.5 * 4), series=series)
    first = pydicom.dcmread(sorted(tmp_path.iterdir())[4])
    extra.ImagePositionPatient = first.ImagePositionPatient
    save(extra, tmp_path / "extra.dcm")
    scan = read_scan(tmp_path)
    assert scan.hu.shape == hu.shape
    assert [(notice.code, notice.severity) for notice in scan.notices] == [("doubled-slices-differ", "warn")]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("float", "hold floating-point pixels"),
        ("none", "hold no pixels"),
        ("private", "compression of the maker's own"),
    ],
)
def test_pixels_elsewhere_are_named(tmp_path, where, message):
    write_series(tmp_path)
    for path in tmp_path.iterdir():
        dataset = pydicom.dcmread(path)
        pixels = dataset.pixel_array.astype("<f4")
        del dataset.PixelData
        if where == "float":
            dataset.FloatPixelData, dataset.BitsAllocated = pixels.tobytes(), 32
        if where == "private":
            dataset.add(pydicom.dataelem.DataElement(0x07A10010, "LO", "ELSCINT1"))
            dataset.add(pydicom.dataelem.DataElement(0x07A1100A, "OB", bytes(500)))
        dataset.save_as(path)
    with pytest.raises(InputError, match=message):
        read_scan(tmp_path)
