"""The queue on disk: each step is whole, whatever moment a kill comes at."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from spool_maker import STUDY, fill, service_of, take, two_results

from CovidCTLib.archive.service import MOST_ATTEMPTS
from CovidCTLib.archive.spool import Job, Spool
from CovidCTLib.errors import OutputError


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


def test_one_instance_over_many_associations_at_once_is_stored_once_and_whole(spool):
    with ThreadPoolExecutor(8) as pool:
        stored = [pool.submit(spool.store, STUDY, f"{STUDY}.1", (b"x" * 100_000,), image=True) for _ in range(24)]
        assert any(one.result() for one in stored)
    (file,) = (spool.folder / "incoming").rglob("*.*")
    assert file.read_bytes() == b"x" * 100_000


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


def test_the_stores_name_of_a_file_says_nothing(spool):
    fill(spool)
    names = "".join(str(path.relative_to(spool.folder)) for path in spool.folder.rglob("*"))
    assert STUDY not in names
    assert spool.key_of(STUDY) in names
