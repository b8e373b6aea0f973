"""UIDs that are the same for the same CT, options, networks and results, and new for any other."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import asdict

import numpy as np

from CovidCTLib import __version__
from CovidCTLib.analysis import Analysis
from CovidCTLib.scan import SourceSeries

_NOT_OF_THE_RESULT = ("device", "threads")
"""Options that say where an analysis is computed, not what."""

_BLOCK = 1 << 24
"""Bytes that are hashed at once."""


def uid_of(*parts: str) -> str:
    """Derive a UID from texts.

    Parameters
    ----------
    *parts
        What is to be named; the same parts give the same UID.

    Returns
    -------
    str
        ``2.25.`` and a UUID as a whole number (DICOM PS3.5, B.2). The UUID is of version 8 (RFC 9562), made of the
        first bits of the parts' SHA-256, so nobody can read the parts from it.
    """
    digest = bytearray(hashlib.sha256("\0".join(parts).encode("utf-8")).digest()[:16])
    digest[6] = (digest[6] & 0x0F) | 0x80
    digest[8] = (digest[8] & 0x3F) | 0x80
    return f"2.25.{uuid.UUID(bytes=bytes(digest)).int}"


def identity_of(analysis: Analysis, source: SourceSeries) -> str:
    """Digest what the results follow from, and the results.

    Parameters
    ----------
    analysis
        Lungs, opacities, measures, options and networks count; times, devices and threads do not.
    source
        The series and its images count.

    Returns
    -------
    str
        SHA-256 in hexadecimal digits.
    """
    digest = hashlib.sha256()
    options = {name: value for name, value in asdict(analysis.options).items() if name not in _NOT_OF_THE_RESULT}
    facts = {
        "made_by": f"CovidCT {__version__}",
        "study": str(source.header.StudyInstanceUID),
        "series": str(source.header.SeriesInstanceUID),
        "images": [(image.instance, image.frame) for image in source.images],
        "geometry": asdict(analysis.scan.geometry),
        "options": options,
        "models": [(model.role, model.name, model.version, model.sha256) for model in analysis.models],
        "measures": [(entry.region, entry.name, entry.value) for entry in analysis.measures],
        "case": asdict(analysis.case),
    }
    digest.update(json.dumps(facts, sort_keys=True, default=str).encode())
    for array in (analysis.lungs, analysis.opacities):
        flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        for start in range(0, flat.size, _BLOCK):
            digest.update(flat[start : start + _BLOCK].data)
    return digest.hexdigest()
