"""Studies in a queue, and a listener's service over it, for tests."""

from __future__ import annotations

from CovidCTLib.archive.nodes import Node
from CovidCTLib.archive.service import Service, ServiceSettings

STUDY = "1.2.826.0.1.3680043.8.498.20200317"


def fill(spool, study=STUDY, count=3, first=0):
    for number in range(first, first + count):
        spool.store(study, f"{study}.{number}", (b"image", b"data"), image=True)


def take(spool):
    return spool.take_rested(0.0)


def service_of(spool, analyze, archive, lines, **settings):
    """A service that sends to the stand-in."""
    settings = {"rest_s": 0.0, "retry_s": 0.0, **settings}
    return Service(spool, None, analyze, ServiceSettings(Node("A", "h", 1), **settings), lines.append)


def two_results(images, results):
    for name in ("segmentation.dcm", "measurements.dcm"):
        (results / name).write_bytes(b"result")
    return "analyzed"
