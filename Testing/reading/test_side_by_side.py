"""Our voxels beside those of SimpleITK's reader (GDCM), on all DICOM CT at hand.

Where the two differ on purpose: HU under -1024 are -1024 here; so are padding, by PixelPaddingValue, and the stored
value -2000 outside the scan circle, which GDCM gives back as if they were measured.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_maker import chest_like, compress_series, enhanced_dataset, save, write_series
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from CovidCTLib.errors import InputError
from CovidCTLib.reading import read_scan
from CovidCTLib.reading.dicom_encoding import FrameDecoder
from CovidCTLib.reading.dicom_headers import read_header
from CovidCTLib.reading.dicom_pixels import stored_to_hu

SYNTAXES = [
    None, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless, JPEGLosslessSV1,
    JPEGLSLossless, JPEG2000Lossless,
]  # fmt: skip


def gdcm(path):
    """GDCM's voxels of a single file, HU."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    return sitk.GetArrayFromImage(reader.Execute())


def ours(path):
    """Our HU of all frames of a file, and where padding or the outside of the scan circle is."""
    header = read_header(path)
    frames = header.frames
    shape = (frames[0].rows, frames[0].columns)
    hu, outside = [], []
    with FrameDecoder() as decoder:
        decoded = decoder.frames(path, frames[0].encoding, shape, range(len(frames)))
        for frame, stored in zip(frames, decoded, strict=True):
            keywords = {
                "slope": 1.0 if frame.slope is None else frame.slope,
                "intercept": 0.0 if frame.intercept is None else frame.intercept,
                "bits_stored": frame.encoding.bits_stored,
                "high_bit": frame.encoding.high_bit,
            }
            hu.append(stored_to_hu(stored, padding=frame.padding, **keywords)[0])
            plain = stored_to_hu(stored, **keywords)[0]
            outside.append((hu[-1] != plain) | (stored.view(f"i{stored.dtype.itemsize}") == -2000))
    return np.stack(hu), np.stack(outside)


def ct_files(root):
    """The CT images under a folder that hold pixels."""
    found = []
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        try:
            header = read_header(path)
        except InputError:
            continue
        if header is not None and header.frames[0].kind != "not CT" and header.complete:
            found.append(path)
    return found


def assert_alike(path):
    hu, outside = ours(path)
    theirs = np.maximum(gdcm(path), -1024)
    assert theirs.shape == hu.shape, path.name
    different = (hu != theirs) & ~outside
    assert not different.any(), f"{path.name}: {different.sum()} voxels"
    assert (hu[outside] == -1024).all(), path.name


def packaged():
    """The folders of public test files that are installed: pydicom's own, and pydicom-data's."""
    places = [Path(pydicom.__file__).parent / "data" / "test_files"]
    more = importlib.util.find_spec("data_store")
    if more is not None:
        places += [Path(place) / "data" for place in more.submodule_search_locations]
    return places


@pytest.mark.filterwarnings("ignore")
def test_every_public_test_file_that_both_can_read_gives_the_same_voxels():
    compared = []
    for place in packaged():
        for path in ct_files(place):
            assert_alike(path)
            compared.append(path.name)
    assert len(compared) >= 3
    assert "CT_small.dcm" in compared


@pytest.mark.filterwarnings("ignore")
def test_every_shared_file_that_both_can_read_gives_the_same_voxels(shared_data):
    compared = []
    for place in ("awkward", "dicom/padding_2000"):
        for path in ct_files(shared_data / place):
            assert_alike(path)
            compared.append(path.name)
    assert len(compared) >= 18
    # The hospital's series as a whole is held beside GDCM's in test_real_dicom.


def whole(folder):
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize(
    "keywords",
    [
        {},
        {"slope": 2, "intercept": -2000},
        {"slope": 0.5, "intercept": -1024.5},
        {"slope": 1, "intercept": 0},
        {"BitsStored": 12, "HighBit": 11},
        {"orientation": (1, 0, 0, 0, 0, -1), "positions": [(0, 3.0 * k, 0) for k in range(6)]},
    ],
)
def test_a_series_in_any_encoding_gives_the_volume_that_gdcm_gives(tmp_path, syntax, keywords):
    # Even values: halves and doubles of them are whole, so that nobody must round.
    hu = chest_like((6, 32, 36)) // 2 * 2
    write_series(tmp_path, hu, **keywords)
    compress_series(tmp_path, syntax)
    scan, image = read_scan(tmp_path), whole(tmp_path)
    np.testing.assert_array_equal(scan.hu, hu)
    np.testing.assert_allclose(scan.geometry.spacing_xyz_mm, image.GetSpacing(), rtol=1e-6)
    theirs = np.rint(sitk.GetArrayFromImage(image))
    np.testing.assert_array_equal(scan.hu, theirs)
    np.testing.assert_allclose(scan.geometry.origin_lps_mm, image.GetOrigin(), atol=1e-6)
    np.testing.assert_allclose(scan.geometry.direction_lps, image.GetDirection(), atol=1e-9)


def test_an_enhanced_ct_gives_the_volume_that_gdcm_gives_but_for_a_rescale_of_each_frame(tmp_path):
    dataset = enhanced_dataset(chest_like())
    own = save(dataset, tmp_path / "own" / "all.dcm")
    np.testing.assert_array_equal(read_scan(own.parent).hu, chest_like())
    assert not np.array_equal(gdcm(own)[::-1], chest_like()), "GDCM takes one frame's rescale for all"
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        frame.PixelValueTransformationSequence[0].RescaleIntercept = 0
    dataset.PixelData = chest_like()[::-1].tobytes()
    path = save(dataset, tmp_path / "one" / "all.dcm")
    np.testing.assert_array_equal(read_scan(path.parent).hu, chest_like())
    np.testing.assert_array_equal(gdcm(path)[::-1], chest_like())


def test_a_highest_bit_that_is_wrong_changes_nothing_as_in_gdcm(tmp_path):
    write_series(tmp_path, BitsStored=12, HighBit=15)
    np.testing.assert_array_equal(read_scan(tmp_path).hu, chest_like())
    np.testing.assert_array_equal(sitk.GetArrayFromImage(whole(tmp_path)), chest_like())


def test_values_in_the_upper_bits_are_shifted_down_which_gdcm_leaves_out(tmp_path):
    write_series(tmp_path, BitsStored=12, HighBit=15)
    for path in tmp_path.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.PixelData = (np.frombuffer(dataset.PixelData, np.uint16) << 4).tobytes()
        dataset.save_as(path)
    np.testing.assert_array_equal(read_scan(tmp_path).hu, chest_like())
    assert not np.array_equal(sitk.GetArrayFromImage(whole(tmp_path)), chest_like())
