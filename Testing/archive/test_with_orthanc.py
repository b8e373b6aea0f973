"""The way from a sender through the listener into a real archive, and what disturbs it."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter

import pydicom
import pytest
from archive_maker import wait_until
from pydicom.uid import generate_uid
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage, Verification
from study_maker import NUMBER, write_ct

from CovidCTLib.archive.nodes import Node, parse_node
from CovidCTLib.archive.receiving import Listener, ListenerSettings
from CovidCTLib.archive.service import Service, ServiceSettings
from CovidCTLib.archive.spool import Spool


def make_study(folder, *, slices=None):
    """Write a study of its own; gives its data sets."""
    study = generate_uid()
    write_ct(folder, StudyInstanceUID=study)
    files = sorted(folder.glob("*.dcm"))[:slices]
    return study, [pydicom.dcmread(path) for path in files]


def send(datasets, port, *, title="COVIDCT", own="SENDER"):
    """Send data sets over one association; gives the statuses, or None where there was no association."""
    entity = AE(ae_title=own)
    entity.dimse_timeout = entity.acse_timeout = entity.network_timeout = 120
    entity.add_requested_context(CTImageStorage)
    association = entity.associate("127.0.0.1", port, ae_title=title)
    if not association.is_established:
        return None
    statuses = [association.send_c_store(one).get("Status") for one in datasets]
    association.release()
    return statuses


def test_seg_sr_pdf_and_pictures_of_a_study_arrive_under_the_same_study(orthanc, tmp_path):
    from study_maker import analyzed

    from CovidCTLib.dicom_results import study_of, write_objects

    study, datasets = make_study(tmp_path / "ct")
    assert set(send(datasets, orthanc.port, title="ORTHANC")) == {0}

    def analyze(images, results):
        write_objects(study_of(analyzed(images)), results)
        return "analyzed"

    lines = []
    spool = Spool(tmp_path / "spool")
    listener = Listener(spool, ListenerSettings(Node("COVIDCT", "127.0.0.1", 0)), lines.append)
    port = listener.start()
    try:
        assert set(send(datasets, port)) == {0}
        service = Service(
            spool, listener, analyze, ServiceSettings(parse_node(orthanc.address), rest_s=0.5), lines.append
        )
        assert service.run(once=True)
    finally:
        listener.stop()
        spool.close()
    found = orthanc.instances()
    assert {one["StudyInstanceUID"] for one in found} == {study}
    kinds = Counter(one["Modality"] for one in found)
    assert kinds == {"CT": 12, "SEG": 1, "SR": 1, "DOC": 1, "OT": 7}, lines
    assert not list((tmp_path / "spool").rglob("*.dcm"))
    told = "\n".join(lines) + "\n".join(str(path) for path in (tmp_path / "spool").rglob("*"))
    assert NUMBER not in told
    assert study not in told
    assert "10 objects sent, 0 refused" in told


def test_kill_9_in_the_middle_loses_nothing_and_doubles_nothing(orthanc, tmp_path, a_listener):
    studies = [make_study(tmp_path / f"ct{number}") for number in range(4)]
    listener = a_listener(orthanc.address, analysis_s=1.0, rest_s=2.0)
    for _, datasets in studies[:3]:
        assert set(send(datasets, listener.port)) == {0}
    wait_until(lambda: orthanc.count() == 1, 60, "the first result")
    listener.kill()
    # In the middle of receiving, too: half of the fourth study, then killed once more.
    listener.start()
    assert set(send(studies[3][1][:6], listener.port)) == {0}
    listener.kill()
    listener.start()
    assert set(send(studies[3][1][4:], listener.port)) == {0}
    wait_until(listener.idle, 90, "the end of the queue")
    found = orthanc.instances()
    assert Counter(one["StudyInstanceUID"] for one in found) == {study: 1 for study, _ in studies}
    assert len(list((listener.spool / "done").iterdir())) == 4
    done = [line for line in listener.lines() if ": done, 1 objects sent" in line]
    assert len(done) in (4, 5)


def test_an_archive_that_goes_away_gets_everything_when_it_is_back(orthanc, tmp_path, a_listener):
    orthanc.stop()
    listener = a_listener(orthanc.address, rest_s=0.3)
    studies = [make_study(tmp_path / f"ct{number}", slices=2) for number in range(3)]
    for _, datasets in studies:
        assert set(send(datasets, listener.port)) == {0}
    wait_until(lambda: any("waits to be sent" in line for line in listener.lines()), 60, "the first try")
    assert not listener.idle()
    orthanc.start()
    wait_until(listener.idle, 60, "the end of the queue")
    assert {one["StudyInstanceUID"] for one in orthanc.instances()} == {study for study, _ in studies}


def test_a_hundred_small_studies_in_a_row_each_arrive_once(orthanc, tmp_path, a_listener):
    _, (one, *_) = make_study(tmp_path / "ct", slices=1)
    listener = a_listener(orthanc.address, rest_s=0.2)
    studies = []
    for _ in range(100):
        one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID = (generate_uid() for _ in range(3))
        one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
        studies.append(str(one.StudyInstanceUID))
        assert send([one], listener.port) == [0]
    wait_until(lambda: orthanc.count() == 100 and listener.idle(), 180, "the end of the queue")
    assert Counter(found["StudyInstanceUID"] for found in orthanc.instances()) == Counter(studies)


def test_two_senders_at_once_and_images_that_come_twice_and_out_of_order(orthanc, tmp_path, a_listener):
    studies = [make_study(tmp_path / f"ct{number}") for number in range(2)]
    listener = a_listener(orthanc.address, rest_s=0.5)
    statuses = {}

    def deliver(number):
        datasets = studies[number][1]
        statuses[number] = send([*reversed(datasets), *datasets[:5]], listener.port, own=f"SENDER{number}")

    threads = [threading.Thread(target=deliver, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {status for given in statuses.values() for status in given} == {0}
    wait_until(listener.idle, 60, "the end of the queue")
    assert Counter(one["StudyInstanceUID"] for one in orthanc.instances()) == {study: 1 for study, _ in studies}
    assert sum("12 images" in line for line in listener.lines()) == 2


def test_a_study_that_is_sent_again_is_not_analyzed_again(orthanc, tmp_path, a_listener):
    _, datasets = make_study(tmp_path / "ct", slices=3)
    listener = a_listener(orthanc.address, rest_s=0.3)
    assert set(send(datasets, listener.port)) == {0}
    wait_until(lambda: orthanc.count() == 1 and listener.idle(), 60, "the result")
    assert set(send(datasets, listener.port)) == {0}
    wait_until(listener.idle, 60, "the end of the queue")
    time.sleep(1)
    assert orthanc.count() == 1
    assert sum("waits for its analysis" in line for line in listener.lines()) == 1


def test_garbage_and_half_open_associations_do_not_stop_the_listener(orthanc, tmp_path, a_listener):
    listener = a_listener(orthanc.address, rest_s=0.3)
    half_open = [socket.create_connection(("127.0.0.1", listener.port)) for _ in range(20)]
    for content in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x01\x00\xff\xff\xff\xff",
        b"\x04\x00\x00\x00\x00\x04abcd",
        b"\0" * 5000,
    ):
        with socket.create_connection(("127.0.0.1", listener.port)) as one:
            one.sendall(content)
    study, datasets = make_study(tmp_path / "ct", slices=2)
    assert set(send(datasets, listener.port)) == {0}
    wait_until(lambda: orthanc.count() == 1, 60, "the result")
    for one in half_open:
        one.close()
    assert orthanc.instances()[0]["StudyInstanceUID"] == study
    assert listener.process.poll() is None


@pytest.mark.parametrize(("title", "own"), [("WRONG", "PACS"), ("COVIDCT", "STRANGER")])
def test_wrong_titles_are_rejected(orthanc, a_listener, title, own):
    listener = a_listener(orthanc.address, more=("PACS",))
    assert send([], listener.port, title=title, own=own) is None
    assert send([], listener.port, own="PACS") == []
    entity = AE(ae_title="PACS")
    entity.add_requested_context(Verification)
    association = entity.associate("127.0.0.1", listener.port, ae_title="COVIDCT")
    assert association.send_c_echo().Status == 0
    association.release()
    wait_until(lambda: any("refused: its title" in line for line in listener.lines()), 10, "the line in the log")
