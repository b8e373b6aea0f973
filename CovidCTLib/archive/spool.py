"""The queue on disk: what was received, what is being analyzed, what waits to be sent, what is done.

A study goes through folders by renaming, one atomic step at a time, so that whatever moment the program is killed at,
the next start finds each study in exactly one state::

    incoming/KEY/        images are arriving                          IMAGE.dcm (IMAGE.other for what is no CT)
    work/NUMBER-KEY/     has come to rest; NUMBER keeps the order     images/
                         is analyzed: the folder results/ is there    results/*.dcm wait; sent/ and refused/
    done/NUMBER-KEY.json what became of it
    refused/NUMBER-KEY/  objects that the archive refused

KEY and IMAGE are the first half of the SHA-256 of StudyInstanceUID and SOPInstanceUID with a salt of this spool,
because UIDs often hold dates. Nothing else of a patient is in a name.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from CovidCTLib.archive.job import IMAGES, RESULTS, Job
from CovidCTLib.errors import OutputError
from CovidCTLib.writing.folder import push_folder_to_disk, push_to_disk

INCOMING, WORK, DONE, REFUSED = "incoming", "work", "done", "refused"
SENT = "sent"
_SALT_FILE, _LOCK_FILE = "salt", "lock"
_PART, _GONE = ".part", ".gone"
_KEY_LENGTH = 32


class Spool:
    """The queue of one listener.

    Parameters
    ----------
    folder
        Where it lies; made if it is not there, for its owner alone.

    Raises
    ------
    OutputError
        If the folder cannot be written to, or another listener holds it.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        from filelock import FileLock, Timeout

        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = FileLock(self.folder / _LOCK_FILE)
            self._lock.acquire(timeout=0)
            for name in (INCOMING, WORK, DONE, REFUSED):
                (self.folder / name).mkdir(exist_ok=True, mode=0o700)
            self._salt = self._read_salt()
        except Timeout as error:
            raise OutputError(
                "A queue of its own was expected, but another 'covidct listen' works with this folder. Stop it, or "
                "choose another folder."
            ) from error
        except OSError as error:
            raise OutputError(
                "The queue needs a folder that can be written to, but the system refuses "
                f"({os.strerror(error.errno or 0)}). Choose another folder."
            ) from error
        self._started = time.time()
        self._mend()

    def close(self) -> None:
        """Let the folder go."""
        self._lock.release()

    def _read_salt(self) -> bytes:
        file = self.folder / _SALT_FILE
        if not file.exists():
            _write(file, secrets.token_bytes(32))
        return file.read_bytes()

    def _mend(self) -> None:
        """Put right what a killed run had begun: files half written and folders half removed go, a job is completed."""
        for path in list((self.folder / WORK).iterdir()):
            if path.name.endswith(_GONE):
                shutil.rmtree(path, ignore_errors=True)
            elif path.name.endswith(_PART):
                # The images come by one renaming, so they are all here or none is.
                if (path / IMAGES).is_dir():
                    path.rename(path.with_name(path.name.removesuffix(_PART)))
                else:
                    shutil.rmtree(path, ignore_errors=True)
        for path in list(self.folder.rglob(f"*{_PART}")):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def key_of(self, uid: str) -> str:
        """Hash a UID with the spool's salt."""
        return hashlib.sha256(self._salt + uid.encode()).hexdigest()[:_KEY_LENGTH]

    def free_bytes(self) -> int:
        """Free space of the disk, in bytes."""
        return shutil.disk_usage(self.folder).free

    def store(self, study: str, instance: str, parts: tuple[bytes, ...], *, image: bool) -> bool:
        """Store what was received; on return it is on the disk, and outlives a failure of the power.

        Parameters
        ----------
        study, instance
            StudyInstanceUID and SOPInstanceUID.
        parts
            The file, in parts that follow each other.
        image
            Whether it is a CT image; of anything else only the fact is kept.

        Returns
        -------
        bool
            False where the same instance lies there already: it is not written again.

        Raises
        ------
        OSError
            If the disk is full or refuses.
        """
        home = self.folder / INCOMING / self.key_of(study)
        name = self.key_of(instance)
        target = home / f"{name}{'.dcm' if image else '.other'}"
        if target.exists():
            os.utime(home)
            # The sender that was first may not have got this far.
            push_folder_to_disk(home)
            return False
        part = self.folder / INCOMING / f"{secrets.token_hex(8)}{_PART}"
        try:
            with part.open("wb") as file:
                for piece in parts if image else ():
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            while True:
                new = not home.is_dir()
                home.mkdir(exist_ok=True, mode=0o700)
                # The study may be taken to work between the two lines; then it begins anew.
                with contextlib.suppress(FileNotFoundError):
                    part.rename(target)
                    push_folder_to_disk(home)
                    break
            if new:
                push_folder_to_disk(home.parent)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        return True

    def count_incoming(self, study: str) -> int:
        """Count what has arrived of a study and waits."""
        home = self.folder / INCOMING / self.key_of(study)
        return sum(1 for _ in home.iterdir()) if home.is_dir() else 0

    def arriving(self) -> list[str]:
        """Keys of the studies that are arriving."""
        return sorted(path.name for path in (self.folder / INCOMING).iterdir() if path.is_dir())

    def take_rested(
        self, rest_s: float, busy: frozenset[str] = frozenset(), repeated: Callable[[], None] | None = None
    ) -> list[Job]:
        """Move studies that have come to rest into work, in the order of their last image.

        Parameters
        ----------
        rest_s
            A study is at rest when nothing of it arrived for so many seconds.
        busy
            Keys of studies that an open association has sent images of.
        repeated
            Called for each study of which nothing new arrived.

        Returns
        -------
        list of Job
            New jobs. Instances that an earlier job of the same study had are dropped first, unless that job failed;
            where nothing new is left, there is no job. Images of a study that still waits for its analysis join it.
        """
        now = time.time()
        rested = []
        for key in self.arriving():
            home = self.folder / INCOMING / key
            quiet_since = home.stat().st_mtime
            # After a restart the sender gets as long as ever to go on.
            if key not in busy and now - max(quiet_since, self._started) >= rest_s:
                rested.append((quiet_since, key))
        jobs = []
        for _, key in sorted(rested):
            home = self.folder / INCOMING / key
            earlier_instances = self._earlier_instances(key)
            for path in list(home.iterdir()):
                if path.stem in earlier_instances:
                    path.unlink()
            if not any(home.iterdir()):
                with contextlib.suppress(OSError):
                    home.rmdir()
                    if repeated is not None:
                        repeated()
                continue
            if self._joins(home):
                continue
            folder = self.folder / WORK / f"{self._next_number():06d}-{key}"
            # The images first lie under a name that no other step looks at; the last rename makes the job.
            part = folder.with_name(folder.name + _PART)
            part.mkdir(mode=0o700, exist_ok=True)
            home.rename(part / IMAGES)
            part.rename(folder)
            jobs.append(Job(folder))
        return jobs

    def _joins(self, home: Path) -> bool:
        """Move what arrived to a job of its study that is not analyzed yet; a kill in between leaves the rest here."""
        for job in self.jobs():
            if job.key == home.name and not job.analyzed:
                for path in list(home.iterdir()):
                    path.rename(job.images / path.name)
                push_folder_to_disk(job.images)
                # More may have arrived meanwhile.
                with contextlib.suppress(OSError):
                    home.rmdir()
                return True
        return False

    def analyzed_before(self, job: Job) -> bool:
        """Whether an earlier job of the same study is analyzed, so that this one holds a part of it."""
        done = (json.loads(path.read_text(encoding="utf-8")) for path in (self.folder / DONE).glob(f"*-{job.key}.json"))
        others = (one for one in self.jobs() if one.key == job.key and one.folder != job.folder)
        return any(record.get("outcome") == "analyzed" for record in done) or any(one.analyzed for one in others)

    def _next_number(self) -> int:
        names = [path.name for home in (WORK, DONE) for path in (self.folder / home).iterdir()]
        return 1 + max((int(name.partition("-")[0]) for name in names if name[:6].isdigit()), default=0)

    def _earlier_instances(self, key: str) -> frozenset[str]:
        """Instances of earlier jobs of a study."""
        instances: set[str] = set()
        for path in (self.folder / DONE).glob(f"*-{key}.json"):
            record = json.loads(path.read_text(encoding="utf-8"))
            # Who sends a study again whose analysis failed wants another try.
            if record.get("outcome") != "failed":
                instances.update(record["instances"])
        for path in (self.folder / WORK).glob(f"*-{key}/{IMAGES}/*"):
            instances.add(path.stem)
        return frozenset(instances)

    def jobs(self) -> list[Job]:
        """Studies at work, in their order."""
        return [
            Job(path)
            for path in sorted((self.folder / WORK).iterdir())
            if path.is_dir() and not path.name.endswith((_PART, _GONE))
        ]

    def count_attempt(self, job: Job) -> int:
        """Note on the disk that an analysis begins, and tell how often one has begun."""
        file = job.folder / "attempts"
        count = 1 + (int(file.read_text() or 0) if file.exists() else 0)
        _write(file, str(count).encode())
        return count

    def forget_attempt(self, job: Job) -> None:
        """Count the last attempt no more: not the study was at fault."""
        file = job.folder / "attempts"
        _write(file, str(max(0, int(file.read_text()) - 1)).encode())

    @contextlib.contextmanager
    def new_results(self, job: Job) -> Iterator[Path]:
        """Lend a folder for the results of a job; on leaving without an exception it is there as a whole."""
        part = job.folder / f"{RESULTS}{_PART}"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        yield part
        push_to_disk(part)
        part.rename(job.results)

    def note(self, job: Job, **facts: Any) -> None:
        """Keep facts about a job, for the record of what is done."""
        _write(job.folder / "facts.json", json.dumps({**self.facts(job), **facts}).encode())

    def facts(self, job: Job) -> dict[str, Any]:
        """What was noted about a job."""
        file = job.folder / "facts.json"
        return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}

    def waiting(self, job: Job) -> list[Path]:
        """Results of a job that wait to be sent, in the order of sending."""
        from CovidCTLib.dicom_results import in_sending_order

        return in_sending_order(job.results) if job.analyzed else []

    def set_aside(self, job: Job, result: Path, *, refused: bool) -> None:
        """Note that a result was sent or refused, by moving it."""
        home = job.folder / (REFUSED if refused else SENT)
        home.mkdir(exist_ok=True)
        result.rename(home / result.name)

    def finish(self, job: Job, *, keep: bool) -> dict[str, Any]:
        """Close a job: its record is written, refused objects are kept, images are removed unless they are to stay.

        Parameters
        ----------
        job
            Analyzed, and all that could be sent is sent.
        keep
            Whether the images stay, under ``kept/NUMBER-KEY``.

        Returns
        -------
        dict
            The record.
        """
        images = sorted(path.stem for path in job.images.iterdir()) if job.images.is_dir() else []
        # A killed run may have moved some of them already.
        homes = (job.folder / REFUSED, self.folder / REFUSED / job.folder.name)
        refused = sorted({path.name for home in homes for path in home.glob("*")})
        record = {
            **self.facts(job),
            "sent": sorted(path.name for path in (job.folder / SENT).glob("*")),
            "refused": refused,
            "instances": images,
        }
        if (job.folder / REFUSED).is_dir():
            self._move(job.folder / REFUSED, self.folder / REFUSED / job.folder.name)
        _write(self.folder / DONE / f"{job.folder.name}.json", json.dumps(record).encode())
        if keep and job.images.is_dir():
            self._move(job.images, self.folder / "kept" / job.folder.name)
        self.drop(job)
        return record

    def finished(self, job: Job) -> bool:
        """Whether a job's record is written: a kill came between this and the removal of its folder."""
        return (self.folder / DONE / f"{job.folder.name}.json").exists()

    def drop(self, job: Job) -> None:
        """Remove the folder of a job whose record is written."""
        gone = job.folder.with_name(job.folder.name + _GONE)
        job.folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    @staticmethod
    def _move(source: Path, target: Path) -> None:
        target.parent.mkdir(exist_ok=True, mode=0o700)
        if target.exists():
            for path in source.iterdir():
                path.rename(target / path.name)
        else:
            source.rename(target)


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f"{path.name}{_PART}")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    push_folder_to_disk(path.parent)
