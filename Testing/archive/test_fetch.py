"""Studies are found in a real archive, listed, and taken, by DICOM and by DICOMweb."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
from archive_maker import free_port
from test_with_orthanc import make_study, send

from CovidCTLib.archive.credentials import credentials_from
from CovidCTLib.archive.fetching import FoundStudy, Question, choose
from CovidCTLib.archive.web import WebClient
from CovidCTLib.cli.main import main
from CovidCTLib.errors import InputError, OptionsError
from CovidCTLib.reading import read_scan

WEB_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@pytest.fixture
def filled(orthanc, tmp_path):
    """An archive that holds two studies of other dates; with their data sets."""
    studies = [make_study(tmp_path / f"ct{number}") for number in range(2)]
    for number, (_, datasets) in enumerate(studies):
        for one in datasets:
            one.StudyDate, one.AccessionNumber = f"2020040{number + 1}", f"ACC{number}"
        assert set(send(datasets, orthanc.port, title="ORTHANC")) == {0}
    return orthanc, studies


def test_studies_of_a_date_are_listed_without_names(filled, capsys):
    orthanc, _ = filled
    assert main(["fetch", "--archive", orthanc.address, "--date", "2020-04-01", "2020-04-30"]) == 0
    said = capsys.readouterr().out
    assert [line.split()[:3] for line in said.splitlines()] == [["1", "2020-04-01", "CT"], ["2", "2020-04-02", "CT"]]
    assert "12 images" in said
    assert "SECRET" not in said
    assert main(["fetch", "--archive", orthanc.address, "--date", "2019-01-01"]) == 0
    assert "No study fits" in capsys.readouterr().out


def test_a_study_is_taken_by_c_get_with_its_voxels(filled, tmp_path, capsys):
    orthanc, studies = filled
    out = tmp_path / "taken"
    assert main(["fetch", "--archive", orthanc.address, "--accession", "ACC1", "-o", str(out)]) == 0
    assert "12 images" in capsys.readouterr().out
    assert np.array_equal(read_scan(out).hu, read_scan(tmp_path / "ct1").hu)
    assert read_scan(out, with_source=True).source.header.StudyInstanceUID == studies[1][0]


def test_a_study_is_taken_by_c_move(filled, tmp_path):
    orthanc, _ = filled
    port = free_port()
    orthanc.stop()
    orthanc.configure(DicomModalities={"covidct": ["COVIDCT", "127.0.0.1", port]})
    orthanc.start()
    out = tmp_path / "taken"
    told = ["fetch", "--archive", orthanc.address, "--accession", "ACC0", "--way", "move", "--port", str(port)]
    assert main([*told, "-o", str(out)]) == 0
    assert np.array_equal(read_scan(out).hu, read_scan(tmp_path / "ct0").hu)


def test_c_move_to_a_title_that_the_archive_does_not_know_is_told(filled, tmp_path, capsys):
    orthanc, _ = filled
    told = ["fetch", "--archive", orthanc.address, "--accession", "ACC0", "--way", "move", "--port", str(free_port())]
    assert main([*told, "-o", str(tmp_path / "taken")]) == 1
    assert "covidct: " in capsys.readouterr().err
    assert not (tmp_path / "taken").exists()


def test_of_several_studies_one_must_be_chosen(filled, tmp_path, capsys):
    orthanc, _ = filled
    told = ["fetch", "--archive", orthanc.address, "--date", "2020-04-01", "2020-04-02", "-o", str(tmp_path / "taken")]
    assert main(told) == 2
    assert "--take N" in capsys.readouterr().err
    assert main([*told, "--take", "3"]) == 1
    assert main([*told, "--take", "2"]) == 0
    assert len(list((tmp_path / "taken").glob("*.dcm"))) == 12


def test_dicomweb_finds_and_takes_a_study(filled, tmp_path, capsys, monkeypatch):
    if not WEB_PLUGIN.exists():
        pytest.skip("Orthanc's DICOMweb is not installed (Debian: apt-get install orthanc-dicomweb)")
    orthanc, _ = filled
    orthanc.stop()
    orthanc.configure(Plugins=[str(WEB_PLUGIN)], AuthenticationEnabled=True, RegisteredUsers={"reader": "secret"})
    orthanc.start()
    web = ["fetch", "--web", f"http://127.0.0.1:{orthanc.http}/dicom-web"]
    assert main([*web, "--accession", "ACC1"]) == 1
    assert "HTTP 401" in capsys.readouterr().err
    monkeypatch.setenv("COVIDCT_ARCHIVE_USER", "reader")
    monkeypatch.setenv("COVIDCT_ARCHIVE_PASSWORD", "secret")
    assert main([*web, "--accession", "ACC1"]) == 0
    assert "2020-04-02" in capsys.readouterr().out
    out = tmp_path / "taken"
    assert main([*web, "--accession", "ACC1", "-o", str(out)]) == 0
    assert np.array_equal(read_scan(out).hu, read_scan(tmp_path / "ct1").hu)
    assert base64.b64encode(b"reader:secret").decode() not in "".join(capsys.readouterr())


def test_an_archive_that_is_not_there_is_told_in_one_line(capsys):
    port = free_port()
    assert main(["fetch", "--archive", f"X@127.0.0.1:{port}", "--accession", "1"]) == 1
    assert f"127.0.0.1:{port} cannot be reached" in capsys.readouterr().err
    assert main(["fetch", "--web", f"http://127.0.0.1:{port}/dicom-web", "--accession", "1"]) == 1
    assert "cannot be reached" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--archive", "nothing", "--accession", "1"], "TITLE@HOST:PORT"),
        (["--archive", "X@127.0.0.1:99999", "--accession", "1"], "within 1 and 65535"),
        (["--archive", "SEVENTEEN_LETTERS@127.0.0.1:104", "--accession", "1"], "1 to 16 plain characters"),
        (["--archive", "X@127.0.0.1:104"], "Nothing was asked for"),
        (["--archive", "X@127.0.0.1:104", "--accession", "*"], "as it is"),
        (["--archive", "X@127.0.0.1:104", "--date", "1.4.2020"], "YYYY-MM-DD"),
        (["--archive", "X@127.0.0.1:104", "--date", "2020-04-01", "2020-04-02", "2020-04-03"], "one date or two"),
        (["--archive", "X@127.0.0.1:104", "--accession", "1", "--take", "1"], "Name one by -o"),
        (["--archive", "X@127.0.0.1:104", "--accession", "1", "--credentials", "f"], "for DICOMweb"),
        (["--web", "ftp://x", "--accession", "1"], "must begin with https"),
        (["--web", "http://user:word@127.0.0.1/", "--accession", "1"], "hold no name and password"),
    ],
)
def test_wrong_options_are_refused(words, said, capsys):
    assert main(["fetch", *words]) == 2
    assert said in capsys.readouterr().err


def test_credentials_come_from_the_environment_or_a_file_for_its_owner_alone(tmp_path):
    told = {"COVIDCT_ARCHIVE_USER": "me", "COVIDCT_ARCHIVE_PASSWORD": "word"}
    assert credentials_from(None, told).password == "word"
    assert "word" not in repr(credentials_from(None, told))
    with pytest.raises(OptionsError, match="together"):
        credentials_from(None, {"COVIDCT_ARCHIVE_USER": "me"})
    file = tmp_path / "credentials"
    file.write_text("# mine\nuser = me\npassword = a=b\n")
    file.chmod(0o640)
    with pytest.raises(InputError, match="mode 640"):
        credentials_from(file, {})
    file.chmod(0o600)
    assert credentials_from(file, {}).password == "a=b"
    file.write_text("user me\n")
    with pytest.raises(InputError, match="line 1"):
        credentials_from(file, {})
    with pytest.raises(InputError, match="cannot be read"):
        credentials_from(tmp_path / "none", {})


def test_credentials_never_go_out_unencrypted():
    told = credentials_from(None, {"COVIDCT_ARCHIVE_TOKEN": "token"})
    with pytest.raises(OptionsError, match="only sent over https"):
        WebClient("http://pacs.example/dicom-web", told)
    WebClient("https://pacs.example/dicom-web", told)
    WebClient("http://127.0.0.1:8042/dicom-web", told)


def test_an_empty_list_and_wrong_numbers_are_refused():
    with pytest.raises(InputError, match="none that fits"):
        choose([], None)
    one = FoundStudy("1.2", "", "", (), None)
    assert choose([one], None) == one
    with pytest.raises(InputError, match="from 1 to 1"):
        choose([one], 2)
    with pytest.raises(OptionsError):
        Question()
