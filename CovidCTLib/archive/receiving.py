"""The listener: a DICOM storage and verification service that puts what it receives into the queue."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pydicom
from pydicom.tag import Tag
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from CovidCTLib.archive.nodes import Node
from CovidCTLib.archive.spool import Spool
from CovidCTLib.errors import OutputError
from CovidCTLib.reading.dicom_encoding import READ_FAILURES
from CovidCTLib.reading.dicom_headers import CT_CLASS, ENHANCED_CT_CLASSES
from CovidCTLib.reading.dicom_source import is_uid

TRANSFER_SYNTAXES = (
    ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless,
    JPEGLosslessSV1, JPEGLossless, JPEGLSLossless, JPEGLSNearLossless, JPEG2000Lossless, JPEG2000, JPEGBaseline8Bit,
    JPEGExtended12Bit,
)  # fmt: skip
"""All that the reading decodes."""

CT_CLASSES = frozenset({CT_CLASS, *ENHANCED_CT_CLASSES})

SUCCESS, OUT_OF_RESOURCES, NOT_UNDERSTOOD = 0x0000, 0xA700, 0xC000
"""Statuses of C-STORE (DICOM PS3.4, table B.2-1)."""

MOST_ASSOCIATIONS = 100
"""Associations that are open at the same time at most, those that say nothing or garbage included."""

HALF_OPEN_S = 10.0
"""Seconds in which a caller must ask for its association; whoever says nothing does not keep others out for longer."""

IDLE_S, MESSAGE_S = 60.0, 60.0
"""Seconds after which an association that says nothing more is ended."""


@dataclass(frozen=True)
class ListenerSettings:
    """How the listener receives.

    Parameters
    ----------
    node
        Own title, address to bind to, port (0 takes a free one) and TLS.
    callers
        Titles that may call; empty lets everyone.
    most_images
        Images of a study at most, those of earlier associations included.
    least_free_bytes
        Free disk space under which nothing more is taken.
    """

    node: Node
    callers: tuple[str, ...] = ()
    most_images: int = 20_000
    least_free_bytes: int = 2 << 30


class Listener:
    """Receives images until it is stopped.

    Parameters
    ----------
    spool
        Where they go.
    settings
        How.
    tell
        Writes a line to the log.
    """

    def __init__(self, spool: Spool, settings: ListenerSettings, tell: Callable[[str], None]) -> None:
        self._spool, self._settings, self._tell = spool, settings, tell
        self._seen: dict[int, set[str]] = {}
        self._busy: dict[int, str] = {}
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()
        self._server: Any = None

    def start(self) -> int:
        """Begin to listen.

        Returns
        -------
        int
            The port.

        Raises
        ------
        OutputError
            If the port is taken or the address cannot be bound to.
        """
        from pynetdicom import AE, AllStoragePresentationContexts, evt
        from pynetdicom.sop_class import Verification

        node = self._settings.node
        entity = AE(ae_title=node.title)
        entity.maximum_associations = MOST_ASSOCIATIONS
        entity.network_timeout, entity.dimse_timeout, entity.acse_timeout = IDLE_S, MESSAGE_S, HALF_OPEN_S
        entity.maximum_pdu_size = 0
        entity.require_called_aet = True
        entity.require_calling_aet = list(self._settings.callers)
        for context in AllStoragePresentationContexts:
            entity.add_supported_context(context.abstract_syntax, list(TRANSFER_SYNTAXES))
        entity.add_supported_context(Verification)
        handlers: list[Any] = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_ECHO, lambda event: SUCCESS),
            (evt.EVT_CONN_CLOSE, self._closed),
            (evt.EVT_REJECTED, lambda event: self._tell("A caller was refused: its title, or the title it called.")),
        ]
        try:
            self._server = entity.start_server(
                (node.host, node.port), block=False, evt_handlers=handlers, ssl_context=node.tls
            )
        except OSError as error:
            raise OutputError(
                f"The listener needs a free port, but port {node.port} of this address cannot be bound to "
                f"({type(error).__name__}, {error.errno}). Stop what uses it, or choose another --port."
            ) from error
        return int(self._server.server_address[1])

    def stop(self) -> None:
        """End all associations, and listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def busy(self) -> frozenset[str]:
        """Keys of the studies that open associations are sending: of each the one that its last image was of.

        A sender may keep one association for a whole night; the studies before its last one need not wait for its end.
        """
        with self._lock:
            return frozenset(self._busy.values())

    def _closed(self, event: Any) -> None:
        with self._lock:
            self._busy.pop(id(event.assoc), None)
            self._seen.pop(id(event.assoc), None)

    def _store(self, event: Any) -> int:
        """Answer C-STORE: the file is on the disk, under its last name, before success is said."""
        request = event.request
        stream = request.DataSet.getvalue()
        study = _study_of(stream, UID(event.context.transfer_syntax))
        instance = str(request.AffectedSOPInstanceUID)
        if study is None or not is_uid(instance):
            self._tell("An image was refused: it names no study, or no instance of its own.")
            return NOT_UNDERSTOOD
        key = self._spool.key_of(study)
        with self._lock:
            self._busy[id(event.assoc)] = key
            studies_of_sender = self._seen.setdefault(id(event.assoc), set())
            if key not in studies_of_sender:
                studies_of_sender.add(key)
                self._counts[key] = self._spool.count_incoming(study)
        if self._counts[key] >= self._settings.most_images:
            self._tell(f"An image was refused: its study has {self._counts[key]} images already, the most allowed.")
            return OUT_OF_RESOURCES
        try:
            if self._spool.free_bytes() < self._settings.least_free_bytes:
                self._tell(
                    "An image was refused: the disk has too little space left. Free some; the sender may repeat."
                )
                return OUT_OF_RESOURCES
            image = str(request.AffectedSOPClassUID) in CT_CLASSES
            new = self._spool.store(study, instance, (_meta_of(event), stream), image=image)
        except OSError:
            self._tell("An image was refused: the disk is full or refuses. Free some space; the sender may repeat.")
            return OUT_OF_RESOURCES
        with self._lock:
            self._counts[key] += new
        return SUCCESS


def _meta_of(event: Any) -> bytes:
    """Preamble and file meta information of a received data set."""
    from pynetdicom.dsutils import encode_file_meta

    return b"\0" * 128 + b"DICM" + bytes(encode_file_meta(event.file_meta))


_STUDY = Tag("StudyInstanceUID")


def _study_of(stream: bytes, syntax: UID) -> str | None:
    """Read StudyInstanceUID from an encoded data set, whose beginning alone is parsed."""
    try:
        if syntax == DeflatedExplicitVRLittleEndian:
            import zlib

            stream = zlib.decompressobj(-zlib.MAX_WBITS).decompress(stream, 1 << 20)
        header = pydicom.filereader.read_dataset(
            io.BytesIO(stream),
            syntax.is_implicit_VR,
            syntax.is_little_endian,
            stop_when=lambda tag, vr, length: tag > _STUDY,
            specific_tags=[_STUDY],
        )
        uid = str(header.get(_STUDY).value) if _STUDY in header else ""
    except READ_FAILURES:
        return None
    return uid if is_uid(uid) else None
