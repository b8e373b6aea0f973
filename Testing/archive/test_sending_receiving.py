"""What the listener takes and refuses, and what sending makes of each answer of an archive."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from contextlib import contextmanager

import numpy as np
import pydicom
import pytest
from archive_maker import free_port, wait_until
from dicom_maker import chest_like, compress_series, write_series
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    ComprehensiveSRStorage,
    CTImageStorage,
    MRImageStorage,
    SegmentationStorage,
    Verification,
)
from study_maker import NUMBER, analyzed, write_ct

from CovidCTLib.archive.analyzing import MIN_IMAGES, StudyAnalyzer, StudyLeftError, write_failure
from CovidCTLib.archive.nodes import Node, TlsFiles, tls_context
from CovidCTLib.archive.receiving import Listener, ListenerSettings
from CovidCTLib.archive.sending import ArchiveAwayError, associate, send
from CovidCTLib.archive.spool import Spool
from CovidCTLib.dicom_results import in_sending_order, write_dicom
from CovidCTLib.errors import OutputError
from CovidCTLib.options import Options
from CovidCTLib.reading import read_scan


@contextmanager
def listening(folder, lines=None, tls=None, **settings):
    """A listener in this process; gives its queue and port."""
    spool = Spool(folder)
    told = {"least_free_bytes": 0, **settings}
    node = Node("COVIDCT", "127.0.0.1", 0, tls)
    listener = Listener(spool, ListenerSettings(node, **told), (lines if lines is not None else []).append)
    try:
        yield spool, listener.start()
    finally:
        listener.stop()
        spool.close()


def store(datasets, port, kind=CTImageStorage, syntax=None):
    """Send data sets; gives the statuses."""
    entity = AE(ae_title="SENDER")
    entity.dimse_timeout = entity.acse_timeout = entity.network_timeout = 120
    entity.add_requested_context(kind, syntax)
    association = entity.associate("127.0.0.1", port, ae_title="COVIDCT")
    assert association.is_established
    statuses = [association.send_c_store(one).Status for one in datasets]
    association.release()
    return statuses


def echo(archive, own_title):
    """Ask whether a listener or an archive is there."""
    entity = AE(ae_title=own_title)
    entity.add_requested_context(Verification)
    association = associate(entity, archive)
    assert association.send_c_echo().Status == 0
    association.release()


@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless, JPEGLosslessSV1, JPEGLSLossless,
     JPEG2000Lossless],
    ids=lambda uid: uid.name,
)  # fmt: skip
def test_images_of_every_encoding_arrive_as_they_were(tmp_path, syntax):
    # OpenJPEG encodes no pictures under 32 x 32 pixels with its usual number of resolutions.
    write_series(tmp_path / "ct", chest_like((12, 64, 64)))
    compress_series(tmp_path / "ct", None if syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian) else syntax)
    datasets = [pydicom.dcmread(path) for path in (tmp_path / "ct").glob("*.dcm")]
    with listening(tmp_path / "spool") as (spool, port):
        assert set(store(datasets, port, syntax=syntax)) == {0}
        (job,) = spool.take_rested(0.0)
    assert pydicom.dcmread(next(job.images.iterdir())).file_meta.TransferSyntaxUID == syntax
    assert np.array_equal(read_scan(job.images).hu, read_scan(tmp_path / "ct").hu)


def test_what_is_no_ct_is_noted_and_not_kept(tmp_path):
    write_ct(tmp_path / "ct")
    one = pydicom.dcmread(next((tmp_path / "ct").iterdir()))
    one.SOPClassUID = MRImageStorage
    with listening(tmp_path / "spool") as (spool, port):
        assert store([one], port, kind=MRImageStorage) == [0]
        (job,) = spool.take_rested(0.0)
    assert [(path.suffix, path.stat().st_size) for path in job.images.iterdir()] == [(".other", 0)]
    with pytest.raises(StudyLeftError, match="no CT image"):
        StudyAnalyzer(Options())(job.images, tmp_path)


def test_a_study_without_uid_is_refused(tmp_path):
    write_ct(tmp_path / "ct")
    one = pydicom.dcmread(next((tmp_path / "ct").iterdir()))
    one.StudyInstanceUID = ""
    lines = []
    with listening(tmp_path / "spool", lines) as (spool, port):
        assert store([one], port) == [0xC000]
        assert spool.arriving() == []
    assert "names no study" in lines[0]


def test_too_many_images_and_too_little_disk_are_answered_with_out_of_resources(tmp_path):
    write_ct(tmp_path / "ct")
    datasets = [pydicom.dcmread(path) for path in (tmp_path / "ct").iterdir()]
    lines = []
    with listening(tmp_path / "spool", lines, most_images=10) as (spool, port):
        assert sorted(store(datasets, port)) == [0] * 10 + [0xA700] * 2
        assert spool.count_incoming(str(datasets[0].StudyInstanceUID)) == 10
    with listening(tmp_path / "other", lines, least_free_bytes=1 << 60) as (_, port):
        assert set(store(datasets, port)) == {0xA700}
    assert "the most allowed" in lines[0]
    assert "too little space" in lines[-1]


def test_a_full_disk_is_answered_with_out_of_resources_and_leaves_nothing_half(tmp_path, mounted):
    write_ct(tmp_path / "ct")
    datasets = [pydicom.dcmread(path) for path in (tmp_path / "ct").iterdir()]
    for one in datasets:
        one.PixelData = one.PixelData * 100
    point = mounted("size=400k")
    lines = []
    with listening(point / "spool", lines) as (spool, port):
        statuses = store(datasets, port)
        assert set(statuses) == {0, 0xA700}
        assert spool.count_incoming(str(datasets[0].StudyInstanceUID)) == statuses.count(0)
        assert not list(point.rglob("*.part"))
    assert "disk is full" in lines[0]


def test_an_image_that_cannot_be_put_on_the_disk_is_not_called_stored(tmp_path, monkeypatch):
    write_ct(tmp_path / "ct")
    image = pydicom.dcmread(next((tmp_path / "ct").iterdir()))
    with listening(tmp_path / "spool") as (spool, port):

        def broken(descriptor):
            raise OSError(errno.EIO, "the disk does not answer")

        monkeypatch.setattr(os, "fsync", broken)
        assert store([image], port) == [0xA700]
        monkeypatch.undo()
        assert not [path for path in (spool.folder / "incoming").rglob("*") if path.is_file()]
        assert store([image], port) == [0]


def test_a_study_of_5000_slices_is_taken(tmp_path):
    write_ct(tmp_path / "ct")
    one = pydicom.dcmread(next((tmp_path / "ct").iterdir()))

    def slices():
        for number in range(4980, 5000):
            one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = f"{one.StudyInstanceUID}.{number}"
            yield one

    with listening(tmp_path / "spool") as (spool, port):
        for number in range(4980):
            spool.store(str(one.StudyInstanceUID), f"{one.StudyInstanceUID}.{number}", (b"image",), image=True)
        assert set(store(slices(), port)) == {0}
        assert spool.count_incoming(str(one.StudyInstanceUID)) == 5000
        (job,) = spool.take_rested(0.0)
    assert sum(1 for _ in job.images.iterdir()) == 5000


def test_a_sender_that_keeps_its_association_makes_only_its_last_study_wait(tmp_path):
    write_ct(tmp_path / "ct")
    one = pydicom.dcmread(next((tmp_path / "ct").iterdir()))
    spool = Spool(tmp_path / "spool")
    node = Node("COVIDCT", "127.0.0.1", 0)
    listener = Listener(spool, ListenerSettings(node, least_free_bytes=0), [].append)
    entity = AE(ae_title="SENDER")
    entity.add_requested_context(CTImageStorage)
    try:
        association = entity.associate("127.0.0.1", listener.start(), ae_title="COVIDCT")
        studies = [f"{one.StudyInstanceUID}.{number}" for number in (1, 2)]
        for study in studies:
            one.StudyInstanceUID = study
            one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = f"{study}.1"
            assert association.send_c_store(one).Status == 0
        assert listener.busy() == {spool.key_of(studies[1])}
        (job,) = spool.take_rested(0.0, listener.busy())
        assert job.key == spool.key_of(studies[0])
        association.release()
        wait_until(lambda: not listener.busy(), what="the end of the association")
        (job,) = spool.take_rested(0.0, listener.busy())
        assert job.key == spool.key_of(studies[1])
    finally:
        listener.stop()
        spool.close()


def test_a_port_that_is_taken_is_told(tmp_path):
    with listening(tmp_path / "spool") as (_, port):
        other = Spool(tmp_path / "other")
        with pytest.raises(OutputError, match=f"port {port} of this address"):
            Listener(other, ListenerSettings(Node("COVIDCT", "127.0.0.1", port)), print).start()
        other.close()


@contextmanager
def an_archive(status=0, kinds=(SegmentationStorage, ComprehensiveSRStorage)):
    """An archive that takes some kinds, and answers with a status; gives its address and what it took."""
    taken = []

    def keep(event):
        taken.append(event.request.AffectedSOPClassUID)
        return status

    entity = AE(ae_title="ARCHIVE")
    entity.require_called_aet = True
    for kind in (*kinds, Verification):
        entity.add_supported_context(kind)
    server = entity.start_server(("127.0.0.1", free_port()), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)])
    try:
        yield Node("ARCHIVE", *server.server_address), taken
    finally:
        server.shutdown()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sent")
    write_ct(folder / "ct")
    write_dicom(analyzed(folder / "ct"), folder / "dicom")
    return folder / "dicom"


def sent(files, archive):
    outcomes = []
    send(files, archive, "COVIDCT", outcomes.append)
    return outcomes


def test_an_archive_that_speaks_no_seg_gets_the_rest(results):
    files = in_sending_order(results)[:2]
    with an_archive(kinds=(ComprehensiveSRStorage,)) as (archive, taken):
        outcomes = sent(files, archive)
    assert [outcome.accepted for outcome in outcomes] == [False, True]
    assert "does not take objects of this kind" in outcomes[0].reason
    assert taken == [ComprehensiveSRStorage]


def test_an_archive_that_refuses_is_told_with_its_status(results):
    with an_archive(status=0xC000) as (archive, _):
        (outcome,) = sent(in_sending_order(results)[:1], archive)
    assert not outcome.accepted
    assert "C000h" in outcome.reason


def test_an_archive_without_room_is_tried_again(results):
    with an_archive(status=0xA700) as (archive, _), pytest.raises(ArchiveAwayError, match="no room"):
        sent(in_sending_order(results)[:1], archive)


def test_wrong_title_port_or_program_is_told(results):
    files = in_sending_order(results)[:1]
    with an_archive() as (archive, _):
        with pytest.raises(ArchiveAwayError, match="rejected"):
            sent(files, Node("WRONG", archive.host, archive.port))
        assert [outcome.accepted for outcome in sent(files, archive)] == [True]
    with pytest.raises(ArchiveAwayError, match="cannot be reached"):
        sent(files, archive)


def test_nothing_to_send_asks_nobody_and_text_is_refused(tmp_path):
    nowhere = Node("X", "127.0.0.1", free_port())
    assert sent([], nowhere) == []
    (tmp_path / "text.dcm").write_text("no DICOM")
    (outcome,) = sent([tmp_path / "text.dcm"], nowhere)
    assert outcome.reason == "it is no DICOM object"


def test_the_failure_report_is_valid_and_of_the_same_study(tmp_path):
    write_ct(tmp_path / "ct")
    (tmp_path / "out").mkdir()
    assert write_failure(tmp_path / "ct", tmp_path / "out", "It has 3 slices.")
    made = pydicom.dcmread(tmp_path / "out" / "failure.dcm")
    source = pydicom.dcmread(next((tmp_path / "ct").iterdir()))
    assert (made.StudyInstanceUID, made.PatientID) == (source.StudyInstanceUID, NUMBER)
    assert "It has 3 slices." in made.ContentSequence[0].TextValue
    first = made.SOPInstanceUID
    write_failure(tmp_path / "ct", tmp_path / "out", "It has 3 slices.")
    assert pydicom.dcmread(tmp_path / "out" / "failure.dcm").SOPInstanceUID == first
    if shutil.which("dciodvfy"):
        done = subprocess.run(["dciodvfy", tmp_path / "out" / "failure.dcm"], capture_output=True, check=False)
        assert b"Error" not in done.stdout + done.stderr, done.stderr
    assert not write_failure(tmp_path / "out" / "none", tmp_path / "out", "Nothing.")


def test_a_study_of_few_slices_or_no_chest_is_left_with_the_reason(tmp_path):
    hu = np.full((MIN_IMAGES - 1, 20, 24), 40, np.int16)
    hu[:, 5:9, 5:9] = -800
    write_series(tmp_path / "few", hu, FrameOfReferenceUID=generate_uid())
    with pytest.raises(StudyLeftError, match=f"fewer than {MIN_IMAGES}"):
        StudyAnalyzer(Options(lungs="contour", device="cpu"))(tmp_path / "few", tmp_path)


def test_a_study_too_large_for_the_memory_is_left(tmp_path):
    hu = np.full((40, 96, 96), 40, np.int16)
    hu[:, 20:70, 20:70] = -800
    write_series(tmp_path / "large", hu, FrameOfReferenceUID=generate_uid())
    analyzer = StudyAnalyzer(Options(lungs="contour", device="cpu"), most_slices=1)
    with pytest.raises(StudyLeftError, match="96 x 96 x 40 voxels, more than 1 slices"):
        analyzer(tmp_path / "large", tmp_path)


def test_the_listener_speaks_tls_by_option(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    server = tls_context(TlsFiles(certificate, key), server=True)
    client = tls_context(TlsFiles(trusted=certificate), server=False)
    with listening(tmp_path / "spool", tls=server) as (_, port):
        echo(Node("COVIDCT", "127.0.0.1", port, client), "SENDER")
        with pytest.raises(ArchiveAwayError):
            echo(Node("COVIDCT", "127.0.0.1", port, tls_context(TlsFiles(), server=False)), "SENDER")
