"""The queue on disk: each step is whole, whatever moment a kill comes at, and bad input becomes a line."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from CovidCTLib.archive import service as service_module
from CovidCTLib.archive.analyzing import StudyLeftError
from CovidCTLib.archive.nodes import Node, TlsFiles, check_port, check_title, parse_node, tls_context
from CovidCTLib.archive.sending import ArchiveAwayError, SendOutcome
from CovidCTLib.archive.service import MOST_ATTEMPTS, Service, ServiceSettings
from CovidCTLib.archive.spool import Job, Spool
from CovidCTLib.cli.main import main
from CovidCTLib.errors import InputError, OptionsError, OutputError

STUDY = "1.2.826.0.1.3680043.8.498.20200317"


@pytest.fixture
def spool(tmp_path):
    one = Spool(tmp_path / "spool")
    yield one
    one.close()


def fill(spool, study=STUDY, count=3, first=0):
    for number in range(first, first + count):
        spool.store(study, f"{study}.{number}", (b"image", b"data"), image=True)


def take(spool):
    return spool.take_rested(0.0)


def service_of(spool, analyze, archive, lines, **settings):
    """A service that sends to the stand-in."""
    settings = {"rest_s": 0.0, "retry_s": 0.0, **settings}
    return Service(spool, None, analyze, ServiceSettings(Node("A", "h", 1), **settings), lines.append)


@pytest.fixture
def archive(monkeypatch):
    """A stand-in for the archive: a list of what it took, and what it does with the next objects."""

    class Archive:
        def __init__(self):
            self.taken, self.away, self.refuses = [], False, ()

        def send(self, files, node, title, done):
            for file in files:
                if self.away:
                    raise ArchiveAwayError("The archive is away.")
                refused = file.name in self.refuses
                if not refused:
                    self.taken.append(file.name)
                done(SendOutcome(file, not refused, "it speaks no SEG" if refused else ""))

    one = Archive()
    monkeypatch.setattr(service_module, "send", one.send)
    return one


def two_results(images, results):
    for name in ("segmentation.dcm", "measurements.dcm"):
        (results / name).write_bytes(b"result")
    return "analyzed"


def test_a_study_goes_through_and_only_its_record_stays(spool, archive):
    fill(spool)
    lines = []
    assert service_of(spool, two_results, archive, lines).run(once=True)
    assert archive.taken == ["segmentation.dcm", "measurements.dcm"]
    assert [path.name for path in (spool.folder / "work").iterdir()] == []
    (record,) = (spool.folder / "done").iterdir()
    told = json.loads(record.read_text())
    assert (told["outcome"], len(told["instances"]), len(told["sent"])) == ("analyzed", 3, 2)
    assert STUDY not in record.read_text() + record.name + "".join(lines)


def test_instances_that_come_twice_are_stored_once_and_late_ones_are_a_job_of_their_own(spool, archive):
    fill(spool)
    assert not spool.store(STUDY, f"{STUDY}.0", (b"image",), image=True)
    service = service_of(spool, two_results, archive, [])
    service.run(once=True)
    fill(spool, count=4)
    service.run(once=True)
    counts = [len(json.loads(path.read_text())["instances"]) for path in sorted((spool.folder / "done").iterdir())]
    assert counts == [3, 1]
    fill(spool, count=4)
    service.run(once=True)
    assert len(list((spool.folder / "done").iterdir())) == 2


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system does not name open files")
def test_what_is_stored_is_on_the_disk_content_first_then_name(spool, monkeypatch):
    pushed = []

    def fsync(descriptor):
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        there = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else path.read_bytes()
        pushed.append((path, there))

    monkeypatch.setattr(os, "fsync", fsync)
    home = spool.folder / "incoming" / spool.key_of(STUDY)
    first, second = (f"{spool.key_of(f'{STUDY}.{number}')}.dcm" for number in range(2))
    assert spool.store(STUDY, f"{STUDY}.0", (b"image", b"data"), image=True)
    (part, content), *folders = pushed
    assert (part.parent, part.suffix, content) == (home.parent, ".part", b"imagedata")
    assert folders == [(home, [first]), (home.parent, [home.name])]
    pushed.clear()
    # The folder of the study is on the disk by now.
    assert spool.store(STUDY, f"{STUDY}.1", (b"image", b"data"), image=True)
    assert pushed[1:] == [(home, sorted([first, second]))]
    pushed.clear()
    # Whoever comes second may not be told of success before the first one's image is safe.
    assert not spool.store(STUDY, f"{STUDY}.1", (b"image", b"data"), image=True)
    assert pushed == [(home, sorted([first, second]))]


def test_results_are_on_the_disk_before_they_are_called_so(spool, monkeypatch):
    fill(spool)
    (job,) = take(spool)
    pushed = []
    monkeypatch.setattr(
        "CovidCTLib.archive.spool.push_to_disk", lambda folder: pushed.append((folder.name, job.analyzed))
    )
    with spool.new_results(job) as folder:
        (folder / "seg.dcm").write_bytes(b"x")
        assert not pushed
    assert pushed == [("results.part", False)]
    assert job.analyzed


def test_a_study_that_still_arrives_waits(spool):
    fill(spool)
    assert spool.take_rested(60.0) == []
    assert spool.take_rested(0.0, frozenset({spool.key_of(STUDY)})) == []
    assert len(take(spool)) == 1


def test_after_a_restart_the_sender_gets_the_whole_rest_again(spool):
    fill(spool)
    spool.close()
    os.utime(spool.folder / "incoming" / spool.key_of(STUDY), (0, 0))
    again = Spool(spool.folder)
    assert again.take_rested(60.0) == []
    again.close()


@pytest.mark.parametrize("moment", ["images", "part", "results", "sent", "record", "gone"])
def test_a_kill_between_any_two_steps_is_mended(tmp_path, archive, moment):
    first = Spool(tmp_path / "spool")
    fill(first)
    work = first.folder / "work"
    if moment == "part":
        # Killed while an image was written.
        (first.folder / "incoming" / "abc.part").write_bytes(b"half")
    else:
        (job,) = take(first)
        if moment == "images":
            # Killed after the images were moved, before the job had its name.
            job.folder.rename(work / f"{job.folder.name}.part")
        elif moment == "results":
            # Killed while results were written.
            (job.folder / "results.part").mkdir()
            (job.folder / "results.part" / "segmentation.dcm").write_bytes(b"half")
        else:
            with first.new_results(job) as folder:
                two_results(job.images, folder)
            first.note(job, outcome="analyzed")
            first.set_aside(job, job.results / "segmentation.dcm", refused=False)
            archive.taken.append("segmentation.dcm")
            if moment in ("record", "gone"):
                first.set_aside(job, job.results / "measurements.dcm", refused=False)
                archive.taken.append("measurements.dcm")
                # Killed after the record was written, or while the folder was removed.
                (first.folder / "done" / f"{job.folder.name}.json").write_text(
                    json.dumps({"instances": [path.stem for path in job.images.iterdir()]})
                )
                if moment == "gone":
                    job.folder.rename(work / f"{job.folder.name}.gone")
    first.close()
    second = Spool(tmp_path / "spool")
    assert service_of(second, two_results, archive, []).run(once=True)
    second.close()
    assert archive.taken == ["segmentation.dcm", "measurements.dcm"]
    assert len(list((second.folder / "done").iterdir())) == 1
    assert not list(work.iterdir())
    assert not list((second.folder / "incoming").iterdir())


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


def test_one_instance_over_many_associations_at_once_is_stored_once_and_whole(spool):
    with ThreadPoolExecutor(8) as pool:
        stored = [pool.submit(spool.store, STUDY, f"{STUDY}.1", (b"x" * 100_000,), image=True) for _ in range(24)]
        assert any(one.result() for one in stored)
    (file,) = (spool.folder / "incoming").rglob("*.*")
    assert file.read_bytes() == b"x" * 100_000


def test_another_refusal_of_the_system_ends_the_listener(spool, archive, monkeypatch):
    def refuse(*arguments, **keywords):
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(spool, "take_rested", refuse)
    with pytest.raises(PermissionError):
        service_of(spool, two_results, archive, []).run(once=True)


def test_headers_of_which_no_report_can_be_made_do_not_end_the_listener(spool, archive, monkeypatch):
    def fail(images, results, reason):
        (results / "failure.dcm").write_bytes(b"half")
        raise ValueError("DOE^JANE")

    def left(images, results):
        raise StudyLeftError("It holds no CT image.")

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

    def left(images, results):
        raise StudyLeftError("It holds no CT image.")

    monkeypatch.setattr(service_module, "write_failure", fail)
    lines = []
    fill(spool)
    assert service_of(spool, left, archive, lines, failure_report=True).run(once=True)
    assert archive.taken == ["failure.dcm"]


def test_a_study_that_arrives_again_after_its_results_were_sent_is_told_and_left(spool, archive):
    lines = []
    service = service_of(spool, two_results, archive, lines)
    for _ in range(2):
        fill(spool)
        assert service.run(once=True)
    assert len(archive.taken) == 2
    assert any("arrived again" in line for line in lines)
    assert spool.arriving() == []


def test_a_study_that_arrives_again_after_its_analysis_failed_is_tried_again(spool, archive):
    lines, fails = [], [True]

    def analyze(images, results):
        if fails:
            fails.pop()
            raise MemoryError
        return two_results(images, results)

    service = service_of(spool, analyze, archive, lines)
    for _ in range(2):
        fill(spool)
        assert service.run(once=True)
    assert len(archive.taken) == 2
    told = [json.loads(path.read_text())["outcome"] for path in sorted((spool.folder / "done").iterdir())]
    assert told == ["failed", "analyzed"]


def test_images_that_come_while_their_study_waits_join_it_and_later_ones_are_told_as_a_part(spool, archive):
    lines = []
    fill(spool)
    take(spool)
    fill(spool, count=2, first=3)
    assert take(spool) == []
    (job,) = spool.jobs()
    assert len(list(job.images.iterdir())) == 5
    assert spool.arriving() == []
    service = service_of(spool, two_results, archive, lines)
    assert service.run(once=True)
    assert not any("as a part" in line for line in lines)
    fill(spool, count=1, first=5)
    assert service.run(once=True)
    assert any("1 images, waits for its analysis. They came after their study was analyzed" in line for line in lines)


def test_a_study_that_ends_the_program_again_and_again_is_given_up(spool, archive):
    fill(spool)
    (job,) = take(spool)
    for _ in range(MOST_ATTEMPTS):
        spool.count_attempt(job)
    lines = []
    service_of(spool, two_results, archive, lines).run(once=True)
    assert archive.taken == []
    assert any(f"ended the program {MOST_ATTEMPTS} times" in line for line in lines)


def test_whoever_stops_the_listener_politely_does_not_count_against_the_study(spool, archive):
    def stopped(images, results):
        raise KeyboardInterrupt

    fill(spool)
    for _ in range(MOST_ATTEMPTS + 1):
        with pytest.raises(KeyboardInterrupt):
            service_of(spool, stopped, archive, []).run(once=True)
    assert service_of(spool, two_results, archive, []).run(once=True)
    assert len(archive.taken) == 2


def test_images_stay_by_option(spool, archive):
    fill(spool)
    service_of(spool, two_results, archive, [], keep=True).run(once=True)
    assert len(list((spool.folder / "kept").rglob("*.dcm"))) == 3


def test_one_queue_has_one_listener(spool):
    with pytest.raises(OutputError, match="another 'covidct listen'"):
        Spool(spool.folder)


def test_a_queue_needs_a_folder(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="Choose another folder"):
        Spool(tmp_path / "file")


def test_jobs_keep_their_order():
    job = Job(Path("work/000012-abc"))
    assert (job.number, job.key, job.name) == (12, "abc", "study 12")


@pytest.mark.parametrize("title", ["", "   ", "A" * 17, "A\\B", "ÄÖÜ"])
def test_titles_have_1_to_16_plain_characters(title):
    with pytest.raises(OptionsError, match="plain characters"):
        check_title(title)


def test_addresses_are_read():
    assert parse_node("ORTHANC@[::1]:4242") == Node("ORTHANC", "::1", 4242)
    with pytest.raises(OptionsError, match="TITLE@HOST:PORT"):
        parse_node("ORTHANC:4242")
    with pytest.raises(OptionsError, match="within 1 and 65535"):
        check_port(0)


def test_tls_needs_certificate_and_key_that_can_be_read(tmp_path):
    with pytest.raises(OptionsError, match="--tls-cert and --tls-key"):
        tls_context(TlsFiles(), server=True)
    (tmp_path / "no.pem").write_text("no certificate")
    with pytest.raises(InputError, match="PEM files"):
        tls_context(TlsFiles(tmp_path / "no.pem", tmp_path / "no.pem"), server=True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rest", "-1"], "--rest must be at least 0"),
        (["--max-images", "0"], "--max-images must be at least 1"),
        (["--title", "SEVENTEEN_LETTERS"], "1 to 16 plain characters"),
        (["--port", "70000"], "within 1 and 65535"),
        (["--tls-cert", "x.pem"], "--tls-cert and --tls-key"),
    ],
)
def test_wrong_options_of_listen_are_refused(tmp_path, words, said, capsys):
    assert main(["listen", str(tmp_path / "spool"), "--archive", "A@127.0.0.1:104", *words]) == 2
    assert said in capsys.readouterr().err


def test_the_stores_name_of_a_file_says_nothing(spool):
    fill(spool)
    names = "".join(str(path.relative_to(spool.folder)) for path in spool.folder.rglob("*"))
    assert STUDY not in names
    assert spool.key_of(STUDY) in names
