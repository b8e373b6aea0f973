"""``covidct listen``: studies come in by DICOM, results go back to the archive."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from CovidCTLib.cli.arguments import add_command, add_engine_arguments, add_tls_arguments, models_from, options_from
from CovidCTLib.cli.progress import say
from CovidCTLib.errors import OptionsError

if TYPE_CHECKING:
    from CovidCTLib.cli.arguments import Commands

DEFAULT_PORT = 11112
"""Port of DICOM for programs without special rights (IANA: acr-nema beside 104)."""

_DESCRIPTION = """\
Listen for studies by DICOM (C-STORE, C-ECHO), analyze each chest CT that has come to rest, and send SEG, SR, report,
pictures and localization to an archive, into the same study. SPOOL is the folder of the queue: after a crash or a
restart with the same folder, nothing is lost and nothing is done twice. Images are removed when their study is done.
The log goes to the standard output and holds no patient data. docs/archive.md shows the set-up step by step."""

_EPILOG = """\
examples:
  covidct listen spool --archive ORTHANC@127.0.0.1:4242
  covidct listen spool --archive PACS@10.0.0.5:104 --host 0.0.0.0 --caller CT1 --caller PACS
  covidct listen spool --archive ORTHANC@127.0.0.1:4242 --once      (for cron: ends when nothing waits)"""


def add_parser(commands: Commands) -> None:
    """Add the command to the program."""
    parser = add_command(commands, "listen", "take studies by DICOM, send results to an archive", _DESCRIPTION, _EPILOG)
    parser.add_argument("spool", metavar="SPOOL", help="folder of the queue; made if it is not there")
    parser.add_argument("--archive", metavar="TITLE@HOST:PORT", required=True, help="where the results are sent")
    group = parser.add_argument_group("how it listens")
    group.add_argument("--title", default="COVIDCT", metavar="T", help="own title (default: COVIDCT)")
    group.add_argument("--host", default="127.0.0.1", metavar="A", help="address to bind to (default: 127.0.0.1)")
    group.add_argument("--port", type=int, default=DEFAULT_PORT, metavar="N", help=f"port (default: {DEFAULT_PORT})")
    group.add_argument(
        "--caller",
        action="append",
        default=[],
        metavar="T",
        help="title that may call; may be given again (default: all)",
    )
    add_tls_arguments(group, "certificate of the listener, which then speaks TLS only")
    group.add_argument("--archive-tls", action="store_true", help="speak TLS with the archive, too")
    work = parser.add_argument_group("how it works")
    work.add_argument(
        "--rest",
        type=float,
        default=30.0,
        metavar="S",
        help="seconds without images after which a study is complete (30)",
    )
    work.add_argument(
        "--retry", type=float, default=30.0, metavar="S", help="seconds before an archive is tried again (30)"
    )
    work.add_argument("--keep", action="store_true", help="keep received images in SPOOL/kept")
    work.add_argument("--failure-report", action="store_true", help="send an SR that says why a study was not analyzed")
    work.add_argument("--max-images", type=int, default=20_000, metavar="N", help="images of a study at most (20000)")
    work.add_argument(
        "--min-free",
        type=float,
        default=2.0,
        metavar="GIB",
        help="free disk space under which nothing is taken (2 GiB)",
    )
    work.add_argument(
        "--max-slices", type=int, default=2000, metavar="N", help="slices of 512 x 512 that are analyzed at most (2000)"
    )
    work.add_argument("--once", action="store_true", help="end when nothing arrives and nothing waits")
    work.add_argument("--dicom-labelmap", action="store_true", help="send label map segmentations (DICOM 2024c)")
    add_engine_arguments(parser)
    parser.set_defaults(run=run, cancelled="Stopped; what waits is in the queue.")


def run(args: argparse.Namespace) -> int:
    """Listen until stopped.

    Returns
    -------
    int
        0; with ``--once`` 1 where something waits because the archive was away.

    Raises
    ------
    CovidCTError
        If an option, the queue's folder or the port cannot be used.
    """
    from CovidCTLib.archive.analyzing import StudyAnalyzer
    from CovidCTLib.archive.nodes import (
        Node,
        TlsFiles,
        check_archive_possible,
        check_port,
        check_title,
        parse_node,
        tls_context,
    )
    from CovidCTLib.archive.receiving import Listener, ListenerSettings
    from CovidCTLib.archive.service import Service, ServiceSettings
    from CovidCTLib.archive.spool import Spool
    from CovidCTLib.dicom_results import check_all_possible

    _check(args)
    check_archive_possible()
    check_all_possible()
    files = TlsFiles(args.tls_cert, args.tls_key, args.tls_trust)
    encrypted = args.tls_cert is not None or args.tls_key is not None
    archive = parse_node(args.archive, tls_context(files, server=False) if args.archive_tls else None)
    here = Node(
        check_title(args.title),
        args.host,
        check_port(args.port),
        tls_context(files, server=True) if encrypted else None,
    )
    analyzer = StudyAnalyzer(options_from(args), models_from(args), args.dicom_labelmap, args.max_slices)
    settings = ListenerSettings(
        here,
        tuple(check_title(title) for title in args.caller),
        args.max_images,
        int(args.min_free * (1 << 30)),
    )
    spool = Spool(args.spool)
    listener = Listener(spool, settings, _log)
    try:
        listener.start()
        _log(f"Listening as {here.title} on {here.host}:{here.port}{', TLS' if encrypted else ''}.")
        service = Service(
            spool,
            listener,
            analyzer,
            ServiceSettings(archive, here.title, args.rest, args.keep, args.failure_report, args.retry),
            _log,
        )
        complete = service.run(once=args.once)
    finally:
        listener.stop()
        spool.close()
    if args.once and not complete:
        _log("The archive was away; what waits is in the queue.")
        return 1
    return 0


def _check(args: argparse.Namespace) -> None:
    for name, value, lowest in (
        ("--rest", args.rest, 0.0),
        ("--retry", args.retry, 0.0),
        ("--max-images", args.max_images, 1),
        ("--max-slices", args.max_slices, 1),
        ("--min-free", args.min_free, 0.0),
    ):
        if not lowest <= value < float("inf"):
            raise OptionsError(f"{name} must be at least {lowest:g}, not {value:g}. Correct it.")


def _log(line: str) -> None:
    """Write a line with the time; nothing of a patient is in it."""
    say(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}")
    sys.stdout.flush()
