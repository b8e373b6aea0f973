"""An archive that is away or refuses, studies that fail, a full disk: what waits, what goes on, and what is said."""

from __future__ import annotations

import contextlib
import errno
import json

import pytest
from spool_maker import STUDY, fill, service_of, two_results

from CovidCTLib.archive import service as service_module
from CovidCTLib.archive.analyzing import StudyLeftError
from CovidCTLib.archive.nodes import Node
from CovidCTLib.archive.service import Service, ServiceSettings
from CovidCTLib.archive.spool import Spool
from CovidCTLib.errors import InputError


def test_an_archive_that_is_away_keeps_the_results_waiting_and_others_are_analyzed(spool, archive):
    archive.away = True
    lines = []
    fill(spool)
    fill(spool, study=f"{STUDY}.9")
    service = service_of(spool, two_results, archive, lines)
    assert not service.run(once=True)
    assert all(job.analyzed for job in spool.jobs())
    assert len(spool.jobs()) == 2
    assert sum("waits to be sent" in line for line in lines) == 1
    archive.away = False
    assert service.run(once=True)
    assert archive.taken == ["segmentation.dcm", "measurements.dcm"] * 2


def test_refused_objects_are_kept_and_the_others_are_sent(spool, archive):
    archive.refuses = ("segmentation.dcm",)
    fill(spool)
    lines = []
    assert service_of(spool, two_results, archive, lines).run(once=True)
    assert archive.taken == ["measurements.dcm"]
    assert [path.name for path in (spool.folder / "refused").rglob("*.dcm")] == ["segmentation.dcm"]
    assert any("it speaks no SEG" in line for line in lines)


@pytest.mark.parametrize(
    ("error", "outcome", "said"),
    [
        (StudyLeftError("It holds no CT image."), "left", "It holds no CT image."),
        (InputError("A CT was expected."), "failed", "A CT was expected."),
        (ValueError("DOE^JANE"), "failed", "CovidCT made a mistake (ValueError)."),
        (MemoryError(), "failed", "CovidCT made a mistake (MemoryError)."),
        (PermissionError(errno.EACCES, "no"), "failed", "The system refused (PermissionError)."),
    ],
)
def test_a_study_that_fails_is_a_line_without_patient_data_and_the_next_goes_on(spool, archive, error, outcome, said):
    def analyze(images, results):
        if not any(spool.folder.glob("done/*")):
            raise error
        return two_results(images, results)

    lines = []
    fill(spool)
    service = service_of(spool, analyze, archive, lines)
    service.run(once=True)
    fill(spool, study=f"{STUDY}.9")
    service.run(once=True)
    told = [json.loads(path.read_text()) for path in sorted((spool.folder / "done").iterdir())]
    assert [one["outcome"] for one in told] == [outcome, "analyzed"]
    assert any(said in line for line in lines)
    assert "DOE" not in "".join(lines)


def test_a_full_disk_makes_the_study_wait_and_not_fail(spool, archive):
    full = [True]

    def analyze(images, results):
        if full.pop() if full else False:
            raise OSError(errno.ENOSPC, "full")
        return two_results(images, results)

    lines = []
    fill(spool)
    assert service_of(spool, analyze, archive, lines).run(once=True)
    assert any("the disk is full" in line for line in lines)
    assert archive.taken == ["segmentation.dcm", "measurements.dcm"]


@pytest.mark.parametrize("step", ["count_attempt", "note", "set_aside", "finish", "take_rested"])
def test_a_full_disk_at_any_step_neither_ends_the_listener_nor_loses_anything(spool, archive, monkeypatch, step):
    real, full = getattr(spool, step), [True, True]

    def refuse(*arguments, **keywords):
        if full:
            full.pop()
            raise OSError(errno.ENOSPC, "full")
        return real(*arguments, **keywords)

    monkeypatch.setattr(spool, step, refuse)
    lines = []
    fill(spool)
    assert service_of(spool, two_results, archive, lines).run(once=True)
    assert sum("disk is full" in line for line in lines) == 2
    # What the archive took and could not be noted is sent again with the same UID.
    assert archive.taken[-1] == "measurements.dcm"
    assert set(archive.taken) == {"segmentation.dcm", "measurements.dcm"}
    assert [path.name for path in (spool.folder / "work").iterdir()] == []
    assert len(list((spool.folder / "done").iterdir())) == 1


def test_a_disk_that_is_truly_full_delays_and_loses_nothing(mounted, archive):
    point = mounted("size=512k,mode=700")
    spool = Spool(point / "spool")
    fill(spool)
    filler = point / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    lines = []

    def tell(line):
        lines.append(line)
        if "disk is full" in line:
            filler.unlink(missing_ok=True)

    service = Service(spool, None, two_results, ServiceSettings(Node("A", "h", 1), rest_s=0.0, retry_s=0.0), tell)
    assert service.run(once=True)
    assert any("disk is full" in line for line in lines)
    assert archive.taken == ["segmentation.dcm", "measurements.dcm"]
    assert not list(spool.folder.rglob("*.part"))
    spool.close()


def test_another_refusal_of_the_system_ends_the_listener(spool, archive, monkeypatch):
    def refuse(*arguments, **keywords):
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(spool, "take_rested", refuse)
    with pytest.raises(PermissionError):
        service_of(spool, two_results, archive, []).run(once=True)


def left(images, results):
    """Work that leaves every study."""
    raise StudyLeftError("It holds no CT image.")


def test_headers_of_which_no_report_can_be_made_do_not_end_the_listener(spool, archive, monkeypatch):
    def fail(images, results, reason):
        (results / "failure.dcm").write_bytes(b"half")
        raise ValueError("DOE^JANE")

    monkeypatch.setattr(service_module, "write_failure", fail)
    lines = []
    fill(spool)
    assert service_of(spool, left, archive, lines, failure_report=True).run(once=True)
    assert any("No SR could be made of its headers (ValueError)." in line for line in lines)
    assert archive.taken == []
    assert "DOE" not in "".join(lines)


def test_a_full_disk_while_the_report_of_a_failure_is_written_waits(spool, archive, monkeypatch):
    full = [True]

    def fail(images, results, reason):
        if full:
            full.pop()
            raise OSError(errno.ENOSPC, "full")
        (results / "failure.dcm").write_bytes(b"whole")
        return True

    monkeypatch.setattr(service_module, "write_failure", fail)
    lines = []
    fill(spool)
    assert service_of(spool, left, archive, lines, failure_report=True).run(once=True)
    assert archive.taken == ["failure.dcm"]
