"""C-STORE of results to an archive: in order, each once; a refusal is told apart from an archive that is away."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.tag import Tag

from CovidCTLib.archive.nodes import Node
from CovidCTLib.errors import CovidCTError
from CovidCTLib.reading.dicom_encoding import READ_FAILURES

TIMEOUT_S = 60.0
"""Seconds that an archive may take to answer."""

CONNECT_TIMEOUT_S = 10.0
"""Seconds that the way to an archive may take."""

_OUT_OF_RESOURCES = range(0xA700, 0xA800)
"""Statuses that ask for another try later (DICOM PS3.4, table B.2-1)."""

_SUCCESS = (0x0000,)
_WARNINGS = range(0xB000, 0xC000)


class ArchiveAwayError(CovidCTError):
    """The archive cannot be reached, or asked to come again; what waits keeps waiting."""


@dataclass(frozen=True)
class SendOutcome:
    """What the archive said of one object: accepted, or refused with a reason."""

    file: Path
    accepted: bool
    reason: str = ""


def send(
    files: Iterable[Path],
    archive: Node,
    title: str,
    done: Callable[[SendOutcome], None],
) -> None:
    """Send objects over one association, one after the other.

    Parameters
    ----------
    files
        DICOM files, in the order of sending.
    archive
        Where to.
    title
        Our title.
    done
        Told of each object as soon as the archive answered.

    Raises
    ------
    ArchiveAwayError
        If the archive cannot be reached, rejects the association, ends it, or has no room. Objects that `done` was not
        told of are to be sent again.
    """
    from pynetdicom import AE

    waiting = list(files)
    if not waiting:
        return
    kinds = {file: _kind_of(file) for file in waiting}
    entity = AE(ae_title=title)
    for wanted in dict.fromkeys(kind for kind in kinds.values() if kind is not None):
        entity.add_requested_context(*wanted)
    if not entity.requested_contexts:
        for file in waiting:
            done(SendOutcome(file, False, "it is no DICOM object"))
        return
    association = associate(entity, archive)
    try:
        accepted = {str(context.abstract_syntax) for context in association.accepted_contexts}
        for file in waiting:
            kind = kinds[file]
            if kind is None:
                done(SendOutcome(file, False, "it is no DICOM object"))
            elif kind[0] not in accepted:
                done(SendOutcome(file, False, "the archive does not take objects of this kind"))
            else:
                done(_send_one(association, file))
    finally:
        if association.is_established:
            association.release()


def associate(entity: Any, archive: Node, roles: Sequence[Any] = (), handlers: Sequence[Any] = ()) -> Any:
    """Open an association with an archive.

    Parameters
    ----------
    entity
        pynetdicom's application entity, with the contexts that are asked for.
    archive
        Where to.
    roles, handlers
        Role selections, and handlers of events.

    Returns
    -------
    pynetdicom.association.Association
        Established.

    Raises
    ------
    ArchiveAwayError
        If the archive cannot be reached, does not speak DICOM, or rejects us.
    """
    from pynetdicom import evt

    connected: list[bool] = []
    entity.acse_timeout, entity.dimse_timeout, entity.network_timeout = TIMEOUT_S, TIMEOUT_S, TIMEOUT_S
    entity.connection_timeout = CONNECT_TIMEOUT_S
    association = entity.associate(
        archive.host,
        archive.port,
        ae_title=archive.title,
        ext_neg=list(roles),
        evt_handlers=[*handlers, (evt.EVT_CONN_OPEN, lambda event: connected.append(True))],
        tls_args=None if archive.tls is None else (archive.tls, archive.host),
    )
    if association.is_established:
        return association
    address = f"{archive.host}:{archive.port}"
    if association.is_rejected:
        raise ArchiveAwayError(
            f"The archive at {address} rejected the association. Check its title, and whether it knows CovidCT's."
        )
    if connected:
        raise ArchiveAwayError(
            f"The program at {address} was expected to speak DICOM as an archive does, but ended the association, or "
            "does not answer. Check host, port and TLS."
        )
    raise ArchiveAwayError(f"The archive at {address} cannot be reached. Check host and port, and that it runs.")


def _send_one(association: Any, file: Path) -> SendOutcome:
    try:
        # A path, not a data set: large objects go from the disk in parts.
        status = association.send_c_store(file)
    except (RuntimeError, ValueError, OSError, AttributeError) as error:
        if not association.is_established:
            raise ArchiveAwayError(_ENDED) from error
        return SendOutcome(file, False, f"it could not be sent ({type(error).__name__})")
    if not status or "Status" not in status:
        raise ArchiveAwayError(_ENDED)
    code = int(status.Status)
    if code in _SUCCESS or code in _WARNINGS:
        return SendOutcome(file, True)
    if code in _OUT_OF_RESOURCES:
        raise ArchiveAwayError(f"The archive has no room at the moment (status {code:04X}h). It is tried again.")
    return SendOutcome(file, False, f"the archive refused it (status {code:04X}h)")


_ENDED = "The archive ended the association or did not answer in time. It is tried again."


def _kind_of(file: Path) -> tuple[str, str] | None:
    """SOP class and transfer syntax of a file; None of what is no DICOM file."""
    try:
        meta = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=[Tag("SOPClassUID")]).file_meta
        return str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)
    except READ_FAILURES:
        return None
