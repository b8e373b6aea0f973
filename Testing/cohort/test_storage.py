from __future__ import annotations

import hashlib
import logging
import os
import sys
import tempfile
from pathlib import Path

import pytest

from CovidCTLib.cohort.storage import (
    check_address,
    content_hash,
    is_remote,
    join,
    list_files,
    local_copy,
    read_start,
)
from CovidCTLib.cohort.storage_errors import plain_errors
from CovidCTLib.errors import CovidCTError, InputError, OutputError
from CovidCTLib.writing.folder import TEMPORARY_PREFIX

SECRET = "wJalrXUtnFEMI-not-to-be-seen"
PIECE = os.urandom(100_000)


@pytest.fixture(scope="module")
def server():
    """An S3-compatible server on the loopback address, its address and credentials in the environment."""
    pytest.importorskip("s3fs", reason="s3fs is not installed (pip install -e '.[cloud]')")
    moto_server = pytest.importorskip("moto.server", reason="moto is not installed (pip install -e '.[test]')")
    import s3fs

    running = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        system = s3fs.S3FileSystem()
        system.mkdir("scans")
        for name, content in {
            "a/case.nii.gz": PIECE,
            "b/1.dcm": b"one",
            "b/deep/2.dcm": b"second",
            "b/.hidden": b"no",
            "empty/none.nii": b"",
        }.items():
            with system.open(f"scans/{name}", "wb") as file:
                file.write(content)
        yield system
    running.stop()


@pytest.fixture
def place(tmp_path):
    """Local folder with the same scan as the server's ``b``."""
    (tmp_path / "b" / "deep").mkdir(parents=True)
    (tmp_path / "b" / "1.dcm").write_bytes(b"one")
    (tmp_path / "b" / "deep" / "2.dcm").write_bytes(b"second")
    (tmp_path / "b" / ".hidden").write_bytes(b"no")
    return tmp_path


@pytest.fixture
def home(tmp_path):
    """Folder in which temporary folders are made."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("address", "remote"),
    [
        ("s3://bucket/a.nii", True),
        ("gs://bucket", True),
        ("/data/a.nii", False),
        ("a.nii", False),
        ("file:///data", False),
        ("C://data", False),
        ("odd/name://x", False),
    ],
)
def test_urls_are_told_from_paths(address, remote):
    assert is_remote(address) is remote


def test_files_are_listed_with_their_sizes_alike_on_disk_and_server(server, place):
    remote, local = list_files("s3://scans/b"), list_files(str(place / "b"))
    assert [(f.name, f.size_bytes) for f in remote] == [("1.dcm", 3), ("deep/2.dcm", 6)]
    assert [(f.name, f.size_bytes) for f in local] == [(f.name, f.size_bytes) for f in remote]
    assert all(f.version for f in (*remote, *local))


def test_a_file_that_changes_gets_another_version(server, place):
    file = place / "b" / "1.dcm"
    before = list_files(str(file)), list_files("s3://scans/b")
    os.utime(file, ns=(1, 1))
    server.pipe_file("scans/b/1.dcm", b"new")
    try:
        assert list_files(str(file)) != before[0]
        assert list_files("s3://scans/b")[0].version != before[1][0].version
    finally:
        server.pipe_file("scans/b/1.dcm", b"one")


def test_a_single_file_is_listed_without_a_name(server, place):
    (remote,) = list_files("s3://scans/a/case.nii.gz")
    assert (remote.name, remote.size_bytes) == ("", len(PIECE))
    (local,) = list_files(str(place / "b" / "1.dcm"))
    assert (local.name, local.size_bytes) == ("", 3)


def test_the_address_of_a_listed_file_leads_to_it(server, place):
    for folder in ("s3://scans/b", str(place / "b"), f"file://{place / 'b'}"):
        assert read_start(join(folder, "deep/2.dcm"), 3) == b"sec"
    assert join(str(place / "b" / "1.dcm"), "") == str(place / "b" / "1.dcm")


def test_the_hash_is_that_of_the_content_wherever_it_lies(server, place):
    assert content_hash("s3://scans/a/case.nii.gz") == hashlib.sha256(PIECE).hexdigest()
    assert content_hash("s3://scans/b") == content_hash(str(place / "b"))
    (place / "b" / "1.dcm").write_bytes(b"eno")
    assert content_hash("s3://scans/b") != content_hash(str(place / "b"))


def test_a_copy_has_content_and_hash_and_is_private_and_gone_afterwards(server, home):
    with local_copy("s3://scans/a/case.nii.gz", home=home) as copy:
        assert copy.path.name == "case.nii.gz"
        assert copy.path.read_bytes() == PIECE
        assert copy.sha256 == content_hash("s3://scans/a/case.nii.gz")
        if os.name == "posix":
            assert copy.path.parent.stat().st_mode & 0o777 == 0o700
    assert not list(home.iterdir())


def test_a_folder_is_copied_whole(server, home):
    with local_copy("s3://scans/b", home=home) as copy:
        found = sorted(p.relative_to(copy.path).as_posix() for p in copy.path.rglob("*") if p.is_file())
        assert found == ["1.dcm", "deep/2.dcm"]
        assert copy.sha256 == content_hash("s3://scans/b")
    assert not list(home.iterdir())


def test_files_that_belong_to_a_header_come_with_it(server, home):
    server.pipe_file("scans/m/x.mhd", b"header")
    server.pipe_file("scans/m/x.raw", b"voxels")
    with local_copy("s3://scans/m/x.mhd", beside=("x.raw",), home=home) as copy:
        assert copy.path.with_name("x.raw").read_bytes() == b"voxels"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_copy_is_gone_after_any_exception(server, home, error):
    with pytest.raises(error), local_copy("s3://scans/b", home=home):
        raise error
    assert not list(home.iterdir())


def test_what_a_killed_process_left_is_removed(server, home):
    computer = os.path.basename(next(iter_name(home)))  # noqa: PTH119
    left = home / computer
    left.mkdir()
    with local_copy("s3://scans/a/case.nii.gz", home=home):
        assert not left.exists()


def iter_name(home):
    """Name of a temporary folder of a process that no longer runs."""
    from CovidCTLib.writing.folder import temporary_name

    parts = temporary_name().removeprefix(TEMPORARY_PREFIX).split("-")
    yield f"{TEMPORARY_PREFIX}{parts[0]}-{2**22 + 1}-{parts[2]}"


def test_a_local_scan_is_lent_as_it_is(place):
    with local_copy(str(place / "b")) as copy:
        assert copy.path == place / "b"
        assert copy.sha256 is None
    assert (place / "b" / "1.dcm").exists()


@pytest.mark.parametrize("address", ["s3://scans/nothing", "s3://no-such-bucket/x", "/no/such/place", "missing.nii"])
def test_nothing_at_an_address_says_so_without_it(server, address):
    with pytest.raises(InputError, match="A file or folder was expected at the source's address") as caught:
        list_files(address)
    assert "such" not in str(caught.value)
    assert "missing" not in str(caught.value)


def test_a_file_that_is_cut_short_is_refused(server, home, monkeypatch):
    import CovidCTLib.cohort.storage as storage

    monkeypatch.setattr(storage, "_pieces", lambda file: iter([b"part"]))
    with (
        pytest.raises(InputError, match="100000 bytes was expected, but 4 came"),
        local_copy("s3://scans/a/case.nii.gz", home=home),
    ):
        pass
    assert not list(home.iterdir())


@pytest.mark.parametrize("name", ["x\\..\\out.dcm", "/etc/out.dcm"])
def test_a_name_that_leads_out_of_the_folder_is_refused(server, home, name):
    server.pipe_file(f"scans/evil/{name}", b"out")
    try:
        with pytest.raises(InputError, match="a name leads out of it"), local_copy("s3://scans/evil", home=home):
            pass
    finally:
        server.rm(f"scans/evil/{name}")
    assert not list(home.iterdir())


def test_names_with_dots_are_not_fetched(server, home):
    server.pipe_file("scans/dots/in.dcm", b"in")
    server.pipe_file("scans/dots/x/../../out.dcm", b"out")
    with local_copy("s3://scans/dots", home=home) as copy:
        assert [file.name for file in copy.path.iterdir()] == ["in.dcm"]


@pytest.mark.parametrize(
    "address",
    [
        f"s3://AKIATEST:{SECRET}@bucket/x",
        f"https://server/scan.nii?X-Amz-Signature={SECRET}",
        f"az://container/scan.nii?sig={SECRET}",
    ],
)
def test_credentials_in_an_address_are_refused_and_not_repeated(address):
    with pytest.raises(InputError, match="without credentials was expected") as caught:
        check_address(address)
    assert SECRET not in str(caught.value)


def test_chained_systems_are_refused():
    with pytest.raises(InputError, match="chains several"):
        check_address("s3://a/b.zip::simplecache://x")


def test_an_unknown_system_is_refused():
    with pytest.raises(InputError, match="stands for no storage system that is known here"):
        check_address("nosuchsystem://bucket/x")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(CovidCTError, match=r"pip install \"covidct\[cloud\]\""):
        check_address("s3://bucket/x")


def test_a_server_that_does_not_answer_says_so(server, monkeypatch):
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        with pytest.raises(InputError, match="could not be reached"):
            list_files("s3://scans/b")
    finally:
        s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError("denied"), "must be permitted"),
        (type("NoCredentialsError", (Exception,), {})("x"), "must be permitted"),
        (ConnectionResetError("x"), "could not be reached"),
        (RuntimeError("x"), r"the storage system failed \(RuntimeError\)"),
    ],
)
def test_errors_of_storage_systems_become_plain_and_silent(error, words):
    error.args = (f"key {SECRET} for s3://hospital/name_of_patient",)
    with pytest.raises(InputError, match=words) as caught, plain_errors():
        raise error
    assert SECRET not in str(caught.value)
    assert "patient" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_no_secret_reaches_the_log(server, home, caplog):
    caplog.set_level(logging.INFO)
    with local_copy("s3://scans/b", home=home):
        pass
    assert SECRET not in caplog.text


def test_a_temporary_folder_that_cannot_be_written_says_so(server, home):
    blocked = home / "file"
    blocked.write_bytes(b"")
    with (
        pytest.raises(OutputError, match="fetched into the temporary folder first"),
        local_copy("s3://scans/b", home=blocked),
    ):
        pass


def test_the_systems_temporary_folder_is_the_usual_home(server):
    with local_copy("s3://scans/a/case.nii.gz") as copy:
        assert copy.path.parents[1] == Path(tempfile.gettempdir())
