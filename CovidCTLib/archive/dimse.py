"""Questions and retrieval by DICOM's own messages: C-FIND, then C-GET or C-MOVE (DICOM PS3.4, annex C)."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydicom.dataset import Dataset

from CovidCTLib.archive.fetching import MOST_LISTED, ArchivedStudy, Question, question_dataset, save, study_of_answer
from CovidCTLib.archive.nodes import Node
from CovidCTLib.archive.receiving import TRANSFER_SYNTAXES
from CovidCTLib.archive.sending import ArchiveAwayError, associate
from CovidCTLib.errors import InputError, OutputError
from CovidCTLib.reading.dicom_headers import CT_CLASS, ENHANCED_CT_CLASSES

_PENDING = (0xFF00, 0xFF01)
_SUCCESS, _CANCEL, _SOME_FAILED = 0x0000, 0xFE00, 0xB000

_TAKEN = (
    CT_CLASS, *ENHANCED_CT_CLASSES,
    "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7", "1.2.840.10008.5.1.4.1.1.30",
    "1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.88.22", "1.2.840.10008.5.1.4.1.1.88.33",
    "1.2.840.10008.5.1.4.1.1.88.34", "1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.7",
)  # fmt: skip
"""Kinds that C-GET may bring: CT, SEG, parametric maps, SR, PDF, secondary captures."""


@dataclass(frozen=True)
class DimseClient:
    """An archive that is asked by C-FIND.

    Parameters
    ----------
    archive
        Its address.
    here
        Our title, and for C-MOVE the address that we listen on; the archive must know it.
    way
        ``"get"`` or ``"move"``.
    """

    archive: Node
    here: Node
    way: Literal["get", "move"] = "get"

    def find(self, question: Question) -> list[ArchivedStudy]:
        """List the studies that fit.

        Raises
        ------
        ArchiveAwayError
            If the archive cannot be reached or ends the association.
        InputError
            If it refuses the question, or more than `MOST_LISTED` studies fit.
        """
        from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as Model

        association = self._associate([(Model, None)])
        studies = []
        try:
            for status, answer in association.send_c_find(question_dataset(question), Model):
                code = _code(status)
                if code in _PENDING and answer is not None:
                    studies.append(study_of_answer(answer))
                    if len(studies) > MOST_LISTED:
                        raise InputError(
                            f"At most {MOST_LISTED} studies can be listed, but more fit. Ask for a number or a shorter "
                            "time."
                        )
                elif code != _SUCCESS:
                    raise InputError(f"The archive refused the question (status {code:04X}h). Check its log.")
        finally:
            _release(association)
        return sorted(studies, key=lambda study: (study.date, study.uid))

    def take(self, study: ArchivedStudy, folder: Path) -> Iterator[int]:
        """Take a study into a folder.

        Yields
        ------
        int
            How many images are there.

        Raises
        ------
        ArchiveAwayError
            If the archive cannot be reached or ends the association.
        InputError
            If it refuses.
        OutputError
            If an image cannot be written, or our port cannot be listened on.
        """
        return self._get(study, folder) if self.way == "get" else self._move(study, folder)

    def _get(self, study: ArchivedStudy, folder: Path) -> Iterator[int]:
        from pynetdicom import build_role, evt
        from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as Model

        failures: queue.SimpleQueue[OSError] = queue.SimpleQueue()
        contexts = [(Model, None), *((kind, list(TRANSFER_SYNTAXES)) for kind in _TAKEN)]
        roles = [build_role(kind, scp_role=True) for kind in _TAKEN]
        association = self._associate(contexts, roles, [(evt.EVT_C_STORE, _keeper(folder, failures))])
        try:
            yield from _follow(association.send_c_get(_identifier(study), Model), failures)
        finally:
            _release(association)

    def _move(self, study: ArchivedStudy, folder: Path) -> Iterator[int]:
        from pynetdicom import AE, AllStoragePresentationContexts, evt
        from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove as Model

        failures: queue.SimpleQueue[OSError] = queue.SimpleQueue()
        receiver = AE(ae_title=self.here.title)
        receiver.require_called_aet = True
        for context in AllStoragePresentationContexts:
            receiver.add_supported_context(context.abstract_syntax, list(TRANSFER_SYNTAXES))
        try:
            server = receiver.start_server(
                (self.here.host, self.here.port),
                block=False,
                evt_handlers=[(evt.EVT_C_STORE, _keeper(folder, failures))],
                ssl_context=self.here.tls,
            )
        except OSError as error:
            raise OutputError(
                f"C-MOVE needs a free port to receive on, but port {self.here.port} cannot be bound to "
                f"({type(error).__name__}, {error.errno}). Choose another --port."
            ) from error
        try:
            association = self._associate([(Model, None)])
            try:
                yield from _follow(association.send_c_move(_identifier(study), self.here.title, Model), failures)
            finally:
                _release(association)
        finally:
            server.shutdown()

    def _associate(self, contexts: list[Any], roles: list[Any] | None = None, handlers: list[Any] | None = None) -> Any:
        from pynetdicom import AE

        entity = AE(ae_title=self.here.title)
        for kind, syntaxes in contexts:
            if syntaxes is None:
                entity.add_requested_context(kind)
            else:
                entity.add_requested_context(kind, syntaxes)
        association = associate(entity, self.archive, roles or (), handlers or ())
        first = str(contexts[0][0])
        if not any(str(context.abstract_syntax) == first for context in association.accepted_contexts):
            _release(association)
            raise InputError(
                "The archive was expected to answer this kind of question, but does not offer it. Try --way move, "
                "or DICOMweb by --web."
            )
        return association


def _keeper(folder: Path, failures: queue.SimpleQueue[OSError]) -> Any:
    """Make what writes each image that arrives."""

    def keep(event: Any) -> int:
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        try:
            save(dataset, folder)
        except OSError as error:
            failures.put(error)
            return 0xA700
        return _SUCCESS

    return keep


def _follow(answers: Any, failures: queue.SimpleQueue[OSError]) -> Iterator[int]:
    """Follow a retrieval to its end."""
    for status, _ in answers:
        if not failures.empty():
            raise failures.get()
        code = _code(status)
        if code in _PENDING or code == _SUCCESS:
            yield int(status.get("NumberOfCompletedSuboperations", 0) or 0)
        elif code == _SOME_FAILED:
            failed = int(status.get("NumberOfFailedSuboperations", 0) or 0)
            raise InputError(f"The archive could not send {failed} images of the study. Nothing was kept; try again.")
        elif code == 0xA801:
            raise InputError(
                "The archive does not know CovidCT's title as a place to send to. Register title, address and --port "
                "there."
            )
        else:
            raise InputError(f"The archive refused to send the study (status {code:04X}h). Check its log.")


def _identifier(study: ArchivedStudy) -> Dataset:
    asked = Dataset()
    asked.QueryRetrieveLevel, asked.StudyInstanceUID = "STUDY", study.uid
    return asked


def _code(status: Any) -> int:
    if not status or "Status" not in status:
        raise ArchiveAwayError("The archive ended the association or did not answer in time. Try again.")
    return int(status.Status)


def _release(association: Any) -> None:
    if association.is_established:
        association.release()
