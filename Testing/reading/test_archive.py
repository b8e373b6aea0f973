"""ZIP archives of a study: what is read, what is refused before anything is written, and what is left behind."""

from __future__ import annotations

import os
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from dicom_maker import SECRET, chest_like, write_directory, write_series

from CovidCTLib.errors import InputError
from CovidCTLib.reading import archive, list_series, read_scan

ROOT = Path(__file__).parents[2]


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The temporary folder, empty and watched."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


@pytest.fixture
def study(tmp_path):
    """A ZIP of two series with a DICOMDIR, a text and names that hold a patient's."""
    folder = tmp_path / SECRET
    write_series(folder / "a", number=1)
    write_series(folder / "b", chest_like((6, 20, 24)), number=2)
    write_directory(folder)
    (folder / "readme.txt").write_text("hello")
    return pack(folder, tmp_path / "study.zip")


def pack(folder, target, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(target, "w", method) as packed:
        for path in sorted(folder.rglob("*")):
            packed.write(path, path.relative_to(folder.parent))
    return target


def with_entry(target, entry, content=b"x" * 200):
    with zipfile.ZipFile(target, "a") as packed:
        packed.writestr(entry, content)
    return target


def test_a_zip_is_read_and_listed_like_its_folder(study, temporary):
    np.testing.assert_array_equal(read_scan(study).hu, chest_like())
    assert read_scan(study, series="2").hu.shape[0] == 6
    assert [entry.slices for entry in list_series(study)] == [12, 6]
    assert list(temporary.iterdir()) == []


def test_a_zip_without_an_image_that_its_dicomdir_lists_says_so(tmp_path, temporary):
    write_series(tmp_path / "x")
    write_directory(tmp_path / "x")
    (tmp_path / "x" / "im003.dcm").unlink()
    scan = read_scan(pack(tmp_path / "x", tmp_path / "study.zip"))
    assert {notice.code for notice in scan.notices} >= {"listed-files-absent"}


def test_a_zip_is_known_by_its_content_not_its_name(study, temporary):
    assert read_scan(study.rename(study.with_name("export.dat"))).hu.shape[0] == 12


def test_the_temporary_folder_is_private_and_its_names_are_numbers(study, temporary):
    with archive.unpacked(study) as folder:
        assert folder.parent.parent == temporary
        if os.name == "posix":
            assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
        names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        assert len(names) == 19
        assert all(
            name.replace("/", "").replace("\\", "").replace(".dcm", "").replace("DICOMDIR", "").isdigit()
            for name in names
        )
    assert not folder.parent.exists()


def test_the_temporary_folder_is_removed_when_reading_fails(tmp_path, temporary):
    write_series(tmp_path / "x", chest_like()[:1])
    target = pack(tmp_path / "x", tmp_path / "one.zip")
    with pytest.raises(InputError, match="at least 2 slices"):
        read_scan(target)
    assert list(temporary.iterdir()) == []


class StopError(BaseException):
    """Something that no handler expects."""


def test_the_temporary_folder_is_removed_on_any_exception(study, temporary):
    def stop():
        with archive.unpacked(study):
            assert list(temporary.iterdir())
            raise StopError

    with pytest.raises(StopError):
        stop()
    assert list(temporary.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="locks that the system drops are POSIX's")
def test_what_a_killed_process_left_is_removed_by_the_next(study, temporary):
    code = (
        "import sys, time; from pathlib import Path; from CovidCTLib.reading.archive import unpacked\n"
        "with unpacked(Path(sys.argv[1])):\n    print('there', flush=True); time.sleep(60)\n"
    )
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", code, str(study)], stdout=subprocess.PIPE, env=environment)
    assert process.stdout.readline() == b"there\n"
    (left,) = temporary.iterdir()
    hour_ago = time.time() - 3600
    os.utime(left, (hour_ago, hour_ago))
    read_scan(study)
    assert left.exists(), "a folder in use is not touched"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    os.utime(left, (hour_ago, hour_ago))
    read_scan(study)
    assert not left.exists()


def link_entry():
    entry = zipfile.ZipInfo("study/link.dcm")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (link_entry(), r"holds a link or another special file"),
        ("../outside.dcm", r"a path that leads out of it"),
        ("study/../../outside.dcm", r"a path that leads out of it"),
        ("/etc/outside.dcm", r"a path that leads out of it"),
        ("..\\outside.dcm", r"a path that leads out of it"),
        ("C:\\outside.dcm", r"a path that leads out of it"),
        ("C:outside.dcm", r"a path that leads out of it"),
    ],
)
def test_entries_that_lead_out_are_refused_before_anything_is_written(study, temporary, monkeypatch, entry, message):
    monkeypatch.setattr(archive, "_unpack", lambda *_: pytest.fail("something was written"))
    with_entry(study, entry)
    for call in (read_scan, list_series):
        with pytest.raises(InputError, match=message):
            call(study)
    assert list(temporary.iterdir()) == []
    assert not (study.parent / "outside.dcm").exists()


def test_a_bomb_is_refused_before_anything_is_written(tmp_path, temporary, monkeypatch):
    monkeypatch.setattr(archive, "_unpack", lambda *_: pytest.fail("something was written"))
    target = tmp_path / "bomb.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for number in range(2):
            with packed.open(f"{number}.dcm", "w") as entry:
                for _ in range(40):
                    entry.write(bytes(1 << 20))
    with pytest.raises(
        InputError, match=r"at most 16 GiB and 100 times its own size .* claims 83886080. Do not unpack"
    ):
        read_scan(target)


def patched(path, signature, offset, layout, value):
    """Change a number behind each signature in a ZIP."""
    content = bytearray(path.read_bytes())
    at = content.find(signature)
    while at >= 0:
        struct.pack_into(layout, content, at + offset, value)
        at = content.find(signature, at + 4)
    path.write_bytes(content)


def test_an_archive_that_claims_to_unpack_to_too_much_is_refused(study, temporary):
    patched(study, b"PK\1\2", 24, "<I", 0xF0000000)
    with pytest.raises(InputError, match=r"at most 16 GiB and 100 times its own size was expected"):
        read_scan(study)


def test_entries_that_share_their_bytes_are_refused(study, temporary):
    patched(study, b"PK\1\2", 20, "<I", study.stat().st_size // 2)
    with pytest.raises(InputError, match=r"at most 16 GiB and 100 times its own size was expected"):
        read_scan(study)


def test_an_entry_that_is_longer_than_it_claims_is_cut_and_damaged(study, temporary):
    for signature, offset in ((b"PK\1\2", 24), (b"PK\3\4", 22)):
        patched(study, signature, offset, "<I", 400)
    with pytest.raises(InputError, match=r"A whole ZIP archive was expected, but this one is damaged"):
        read_scan(study)


def test_too_many_entries_are_refused(study, temporary, monkeypatch):
    monkeypatch.setattr(archive, "MAX_ENTRIES", 5)
    with pytest.raises(InputError, match=r"at most 5 entries was expected, but this one has 2\d"):
        read_scan(study)
    # An index that says otherwise than the end of the archive.
    patched(study, b"PK\5\6", 10, "<H", 1)
    with pytest.raises(InputError, match=r"at most 5 entries was expected|is damaged"):
        read_scan(study)


def test_a_list_of_entries_that_is_too_long_is_refused_before_it_is_read(study, temporary, monkeypatch):
    monkeypatch.setattr(archive, "MAX_INDEX_BYTES", 100)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("the list was read"))
    with pytest.raises(InputError, match=r"or a list of them of more than 0 MiB"):
        read_scan(study)


def test_the_count_of_a_large_archive_is_read_from_its_own_record(tmp_path, temporary):
    # The locator and record of ZIP64 before the end, as for more than 65,535 entries.
    record = b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 2_000_000, 2_000_000, 1000, 0)
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    locator = b"PK\6\7" + struct.pack("<IQI", 0, 4, 1)
    (tmp_path / "large.zip").write_bytes(b"PK\3\4" + record + locator + end)
    with pytest.raises(InputError, match=r"this one has 2000000"):
        read_scan(tmp_path / "large.zip")


def test_a_full_disk_is_said_before_anything_is_written(study, temporary, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(archive.shutil, "disk_usage", lambda _: usage(9, 9, 0))
    with pytest.raises(InputError, match=r"Room for 0 MiB was expected in the temporary folder, but 0 MiB are free"):
        read_scan(study)


def test_an_encrypted_archive_is_refused(study, temporary):
    patched(study, b"PK\1\2", 8, "<H", 1)
    with pytest.raises(InputError, match=r"without password was expected, but this one is encrypted"):
        read_scan(study)


def test_unusual_compression_is_refused(tmp_path, temporary):
    write_series(tmp_path / "x")
    target = pack(tmp_path / "x", tmp_path / "study.zip", zipfile.ZIP_LZMA)
    with pytest.raises(
        InputError, match=r"stored or deflated files was expected, but this one is compressed in another"
    ):
        read_scan(target)


@pytest.mark.parametrize("left", [4, 100, 0.5, 0.99])
def test_a_damaged_archive_is_refused(study, temporary, left):
    content = study.read_bytes()
    study.write_bytes(content[: left if left > 1 else int(left * len(content))])
    with pytest.raises(InputError, match=r"A whole ZIP archive was expected, but this one is damaged"):
        read_scan(study)


def test_damage_inside_an_entry_is_found_by_its_checksum(tmp_path, temporary):
    write_series(tmp_path / "x")
    target = pack(tmp_path / "x", tmp_path / "study.zip", zipfile.ZIP_STORED)
    content = bytearray(target.read_bytes())
    content[len(content) // 2] ^= 1
    target.write_bytes(content)
    with pytest.raises(InputError, match=r"A whole ZIP archive was expected, but this one is damaged"):
        read_scan(target)


@pytest.mark.parametrize("call", [read_scan, list_series])
def test_an_archive_without_images_is_refused(tmp_path, temporary, call):
    with_entry(tmp_path / "text.zip", "readme.txt")
    with pytest.raises(InputError, match=r"the archive or medium holds none"):
        call(tmp_path / "text.zip")


def test_an_empty_archive_is_refused(tmp_path, temporary):
    zipfile.ZipFile(tmp_path / "empty.zip", "w").close()
    with pytest.raises(InputError, match=r"the archive or medium holds none"):
        read_scan(tmp_path / "empty.zip")
