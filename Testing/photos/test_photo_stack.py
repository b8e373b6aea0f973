"""A folder of pictures as a stack of grey slices."""

from __future__ import annotations

import numpy as np
import pytest
from picture_maker import as_grey, chest_hu, true_values, write_pictures
from PIL import Image, ImageDraw

from CovidCTLib.errors import InputError
from CovidCTLib.photos import calibrate, read_stack, stack
from CovidCTLib.photos.references import References


def test_slices_come_in_natural_order_from_the_feet_to_the_head(tmp_path):
    for number in (1, 2, 10):
        picture = np.full((64, 64), 20, np.uint8)
        picture[20:40, 20:40] = 30 + 10 * number
        Image.fromarray(picture).save(tmp_path / f"slice{number}.png")
    from_feet = read_stack(tmp_path, first="feet")
    from_head = read_stack(tmp_path)
    assert [source.name for source in from_feet.sources] == ["slice1.png", "slice2.png", "slice10.png"]
    assert np.array_equal(from_head.grey, from_feet.grey[::-1])
    assert [source.number for source in from_head.sources] == [3, 2, 1]


def test_other_files_are_skipped_with_their_reason(pictures):
    (pictures / "slice2.txt").write_text("text")
    (pictures / "slice0\nname.jpg").write_bytes(b"x")
    (pictures / ".hidden.png").write_bytes(b"x")
    (pictures / "folder").mkdir()
    found = read_stack(pictures)
    assert len(found.sources) == 3
    assert [(entry.number, entry.name) for entry in found.skipped] == [(1, "slice0\nname.jpg"), (4, "slice2.txt")]
    assert all("no picture" in entry.reason for entry in found.skipped)


def test_aspect_ratio_is_kept_in_512_x_512(tmp_path):
    image = Image.fromarray(as_grey(chest_hu(200))[40:160])
    image.save(tmp_path / "a.png")
    found = read_stack(tmp_path)
    assert found.grey.shape == (1, 512, 512)
    assert found.boxes == ((102, 409, 0, 512),)
    assert found.grey[0, :102].max() == found.grey[0, 409:].max() == 0


def test_a_picture_of_512_x_512_keeps_its_pixels_and_side(tmp_path):
    greys = write_pictures(tmp_path / "a", 1, 512)
    assert np.array_equal(read_stack(tmp_path / "a").grey[0], greys[0])
    assert np.array_equal(read_stack(tmp_path / "a", mirrored=True).grey[0], greys[0][:, ::-1])


def test_bars_are_cut_off_alike_from_all_pictures_of_one_size(tmp_path):
    for number in range(2):
        wide = np.zeros((256, 400), np.uint8)
        wide[:, 72:328] = np.clip(as_grey(chest_hu(256, number)), 12, 255)
        if number:
            wide[:, 72:92] = 0
        Image.fromarray(wide).save(tmp_path / f"{number}.png")
    found = read_stack(tmp_path)
    assert found.boxes == ((0, 512, 0, 512),) * 2
    assert all("bars around it were cut off" in source.notes for source in found.sources)


def test_letters_at_the_rim_are_found_and_the_chest_is_not(tmp_path):
    image = Image.fromarray(as_grey(chest_hu(512)))
    ImageDraw.Draw(image).text((8, 8), "W 1500 L -600", fill=255)
    image.save(tmp_path / "a.png")
    found = read_stack(tmp_path)
    assert found.text[0, 8:20, 8:80].mean() > 0.5
    assert not found.text[0, 40:].any()
    assert found.sources[0].notes == ("letters at its rim were replaced by air",)


def test_letters_become_air_in_the_volume(tmp_path):
    for name in ("a", "b"):
        image = Image.fromarray(as_grey(chest_hu(512)))
        ImageDraw.Draw(image).text((8, 8), "W 1500 L -600", fill=255)
        image.save(tmp_path / f"{name}.png")
    stack = read_stack(tmp_path)
    volume = calibrate(stack, [References(*true_values(), "numbers")] * 2)
    written = stack.text[0, 8:20, 8:80]
    assert written.sum() > 300
    assert (volume.hu[:, 8:20, 8:80][:, written] == -1000).all()
    # Beside the letters the air is as noisy as it was.
    assert len(np.unique(volume.hu[0, 8:20, 200:280])) > 5


def test_vessels_at_the_side_of_a_cropped_picture_are_no_letters(tmp_path):
    Image.fromarray(as_grey(chest_hu(512, cropped=True))).save(tmp_path / "a.png")
    assert not read_stack(tmp_path).text.any()


def test_pictures_of_another_size_are_noted(pictures):
    Image.fromarray(as_grey(chest_hu(300))).save(pictures / "slice9.png")
    notes = [source.notes for source in read_stack(pictures, first="feet").sources]
    assert notes == [(), (), (), ("of another size than most, so its scale may differ",)]


def test_numbers_of_16_bit_pictures_are_on_their_own_scale(pictures, tmp_path):
    assert read_stack(pictures).levels == 1
    Image.fromarray(as_grey(chest_hu(128)).astype(np.uint16) * 200).save(tmp_path / "deep.png")
    assert read_stack(tmp_path).levels == 257


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected, but it holds no files"):
        read_stack(tmp_path)


def test_a_missing_folder_and_a_file_are_refused(tmp_path):
    with pytest.raises(InputError, match="expected, but there is nothing"):
        read_stack(tmp_path / "nowhere")
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(InputError, match="expected, but there is a file"):
        read_stack(tmp_path / "a.png")


def test_a_path_that_no_system_takes_is_refused():
    with pytest.raises(InputError, match=r"cannot be read|there is nothing"):
        read_stack("a\0b")


def test_a_folder_without_pictures_says_why(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "b.txt").write_text("x")
    with pytest.raises(InputError, match=r"none of the 2 files in the folder can be used \(2 no picture"):
        read_stack(tmp_path)


def test_too_many_pictures_are_refused(pictures, monkeypatch):
    monkeypatch.setattr(stack, "MAX_PICTURES", 2)
    with pytest.raises(InputError, match="At most 2 pictures of one CT were expected, but the folder holds 3"):
        read_stack(pictures)
