"""What an archive may answer beside success: each answer is one plain line, whoever asks."""

from __future__ import annotations

import errno
import queue
import socket

import pytest
import requests
from archive_maker import free_port
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage

from CovidCTLib.archive.analyzing import StudyAnalyzer, StudyLeftError
from CovidCTLib.archive.credentials import Credentials
from CovidCTLib.archive.dimse import DimseClient, _follow
from CovidCTLib.archive.fetching import MOST_LISTED, ArchivedStudy, Question
from CovidCTLib.archive.nodes import Node
from CovidCTLib.archive.sending import ArchiveAwayError, _send_one
from CovidCTLib.archive.web import WebClient
from CovidCTLib.errors import InputError, OutputError
from CovidCTLib.options import Options

QUESTION = Question("12", None, None, None, None)
STUDY = ArchivedStudy("1.2.3", "2020-03-17", "", ("CT",), 3)


def status(code=None, **elements):
    """An answer; without a code it is the empty one of an association that ended."""
    answer = Dataset()
    if code is not None:
        answer.Status = code
    for name, value in elements.items():
        setattr(answer, name, value)
    return answer


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (status(0xB000, NumberOfFailedSuboperations=3), InputError, "could not send 3 images of the study"),
        (status(0xA801), InputError, "does not know CovidCT's title as a place to send to"),
        (status(0xC001), InputError, r"refused to send the study \(status C001h\)"),
        (status(), ArchiveAwayError, "ended the association or did not answer in time"),
        (None, ArchiveAwayError, "ended the association or did not answer in time"),
    ],
)
def test_a_retrieval_that_fails_says_why(answer, error, said):
    first = status(0xFF00, NumberOfCompletedSuboperations=1)
    counts = _follow(iter([(first, None), (answer, None)]), queue.SimpleQueue())
    assert next(counts) == 1
    with pytest.raises(error, match=said):
        next(counts)


def test_an_image_that_could_not_be_written_ends_the_retrieval():
    failures = queue.SimpleQueue()
    failures.put(OSError(errno.ENOSPC, "no space"))
    with pytest.raises(OSError, match="no space"):
        next(_follow(iter([(status(0xFF00), None)]), failures))


def test_an_archive_that_answers_no_questions_is_named(tmp_path):
    entity = AE(ae_title="PACS")
    entity.add_supported_context(CTImageStorage, scu_role=True, scp_role=True)
    server = entity.start_server(("127.0.0.1", 0), block=False)
    try:
        client = DimseClient(Node("PACS", *server.server_address[:2]), Node("COVIDCT", "127.0.0.1", free_port()))
        # It takes images, so that the association stands, but gives none.
        with pytest.raises(InputError, match="this kind of question, but does not offer it"):
            next(client.take(STUDY, tmp_path))
        with pytest.raises(ArchiveAwayError, match="ended the association"):
            client.find(QUESTION)
    finally:
        server.shutdown()


def test_c_move_needs_a_free_port_of_its_own(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        own = Node("COVIDCT", "127.0.0.1", taken.getsockname()[1])
        client = DimseClient(Node("PACS", "127.0.0.1", free_port()), own, "move")
        with pytest.raises(OutputError, match=f"port {own.port} cannot be bound to .OSError, {errno.EADDRINUSE}"):
            next(client.take(STUDY, tmp_path))


class FakeAssociation:
    """Answers C-STORE with a status, or fails with an error."""

    def __init__(self, answer, *, established=True):
        self.answer, self.is_established = answer, established

    def send_c_store(self, file):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_an_association_that_ends_while_an_object_is_sent_is_an_archive_that_is_away(tmp_path):
    file = tmp_path / "seg.dcm"
    with pytest.raises(ArchiveAwayError, match="ended the association"):
        _send_one(FakeAssociation(RuntimeError("no connection"), established=False), file)
    with pytest.raises(ArchiveAwayError, match="ended the association"):
        _send_one(FakeAssociation(status()), file)
    outcome = _send_one(FakeAssociation(ValueError("Jane Doe")), file)
    assert (outcome.accepted, outcome.reason) == (False, "it could not be sent (ValueError)")


class FakeServer:
    """Stands for a client of DICOMweb: gives so many studies, and images until an error."""

    def __init__(self, studies=0, error=None):
        self.studies, self.error = studies, error

    def search_for_studies(self, **_):
        return [{"0020000D": {"vr": "UI", "Value": [f"1.2.{number}"]}} for number in range(self.studies)]

    def iter_study(self, *_, **__):
        raise self.error
        yield


def web_client(monkeypatch, server):
    monkeypatch.setattr(WebClient, "_client", lambda self: server)
    return WebClient("https://pacs.example", Credentials(None, None, None))


def test_more_studies_than_can_be_listed_are_refused(monkeypatch):
    assert len(web_client(monkeypatch, FakeServer(MOST_LISTED)).find(QUESTION)) == MOST_LISTED
    with pytest.raises(InputError, match=f"At most {MOST_LISTED} studies can be listed"):
        web_client(monkeypatch, FakeServer(MOST_LISTED + 1)).find(QUESTION)


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (requests.ConnectionError("refused"), ArchiveAwayError, "cannot be reached"),
        (ValueError("no DICOM"), InputError, r"is no DICOMweb \(ValueError\)"),
        (KeyError("Jane Doe"), InputError, r"is no DICOMweb \(KeyError\)"),
        (OSError(errno.ENOSPC, "no space"), OSError, "no space"),
        (OutputError("The disk is full."), OutputError, "The disk is full"),
    ],
)
def test_a_server_that_fails_while_it_sends_is_explained(monkeypatch, tmp_path, error, kind, said):
    with pytest.raises(kind, match=said) as raised:
        list(web_client(monkeypatch, FakeServer(error=error)).take(STUDY, tmp_path))
    assert "Jane" not in str(raised.value)


def test_a_study_that_cannot_be_read_is_left_with_the_readers_reason(tmp_path):
    images, results = tmp_path / "images", tmp_path / "results"
    images.mkdir()
    results.mkdir()
    (images / "a.dcm").write_text("no DICOM")
    with pytest.raises(StudyLeftError, match="expected"):
        StudyAnalyzer(Options(), None, False, 2000)(images, results)
    assert not list(results.iterdir())
