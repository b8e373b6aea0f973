"""Studies are found in a real archive, listed, and taken, by DICOM and by DICOMweb."""

from __future__ import annotations

import base64
import http.server
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from archive_maker import free_port
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind, Verification
from test_with_orthanc import make_study, send

from CovidCTLib.archive.credentials import credentials_from
from CovidCTLib.archive.fetching import MOST_LISTED, ArchivedStudy, Question, choose, fetch
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
    one = ArchivedStudy("1.2", "", "", (), None)
    assert choose([one], None) == one
    with pytest.raises(InputError, match="from 1 to 1"):
        choose([one], 2)
    with pytest.raises(OptionsError):
        Question()


class Client:
    """Sends so many images of a study."""

    def __init__(self, count):
        self.count = count

    def take(self, study, folder):
        for number in range(self.count):
            (folder / f"{number}.dcm").write_bytes(b"image")
            yield number + 1


@pytest.mark.parametrize(("count", "said"), [(0, "the archive sent none"), (2, "3 images were expected")])
def test_a_study_that_does_not_come_whole_is_not_kept(tmp_path, count, said):
    with pytest.raises(InputError, match=said):
        fetch(Client(count), ArchivedStudy("1.2", "", "", (), 3), tmp_path / "taken")
    assert not (tmp_path / "taken").exists()


@pytest.mark.parametrize(
    ("package", "words"),
    [("pynetdicom", ["--archive", "X@127.0.0.1:104"]), ("dicomweb_client", ["--web", "https://127.0.0.1/"])],
)
def test_without_its_package_one_line_says_so(package, words, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, package, None)
    assert main(["fetch", *words, "--accession", "1"]) == 1
    assert "covidct[archive]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [(404, b"", "HTTP 404"), (200, b"<html>a page</html>", "no DICOMweb"), (500, b"DOE^JANE", "HTTP 500")],
)
def test_a_server_that_speaks_no_dicomweb_is_told_without_its_text(status, body, said, capsys):
    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        web = f"http://127.0.0.1:{server.server_address[1]}/dicom-web"
        assert main(["fetch", "--web", web, "--accession", "1"]) == 1
    finally:
        server.shutdown()
    error = capsys.readouterr().err
    assert said in error
    assert "DOE" not in error


@contextmanager
def answering(kind, event, handler):
    """A program that answers one kind of question by a function."""
    entity = AE(ae_title="ARCHIVE")
    entity.add_supported_context(kind)
    server = entity.start_server(("127.0.0.1", free_port()), block=False, evt_handlers=[(event, handler)])
    try:
        yield f"ARCHIVE@127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()


def test_a_question_that_is_refused_or_has_too_many_answers_is_told(capsys):
    def refuse(event):
        yield 0xA700, None

    def flood(event):
        for number in range(MOST_LISTED + 1):
            answer = Dataset()
            answer.QueryRetrieveLevel, answer.StudyInstanceUID = "STUDY", f"1.2.{number}"
            yield 0xFF00, answer

    for handler, said in ((refuse, "A700h"), (flood, f"At most {MOST_LISTED}")):
        with answering(StudyRootQueryRetrieveInformationModelFind, evt.EVT_C_FIND, handler) as address:
            assert main(["fetch", "--archive", address, "--accession", "1"]) == 1
            assert said in capsys.readouterr().err


def test_an_archive_without_questions_is_told(capsys):
    with answering(Verification, evt.EVT_C_ECHO, lambda event: 0) as address:
        assert main(["fetch", "--archive", address, "--accession", "1"]) == 1
    assert "covidct: " in capsys.readouterr().err
