"""``covidct fetch``: studies of an archive, listed first, then taken."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from CovidCTLib.cli.arguments import add_command, add_output_argument, add_tls_arguments
from CovidCTLib.cli.progress import say
from CovidCTLib.errors import OptionsError

if TYPE_CHECKING:
    from CovidCTLib.archive.fetching import ArchiveClient, ArchivedStudy
    from CovidCTLib.cli.arguments import Commands

_DESCRIPTION = """\
Find studies in an archive by number or date, and take one into a new folder. Without -o, they are only listed. The
archive is asked by DICOM (--archive: C-FIND, then C-GET, or C-MOVE by --way move) or by DICOMweb (--web). Name and
password for DICOMweb come from COVIDCT_ARCHIVE_USER and COVIDCT_ARCHIVE_PASSWORD, a token from COVIDCT_ARCHIVE_TOKEN,
or all of them from a file that you alone may read (--credentials); never from the command line."""

_EPILOG = """\
examples:
  covidct fetch --archive ORTHANC@127.0.0.1:4242 --date 2020-03-01 2020-03-31
  covidct fetch --archive ORTHANC@127.0.0.1:4242 --accession 12345 -o study
  covidct fetch --web https://pacs.example/dicom-web --patient 4711 --take 2 -o study"""


def add_parser(commands: Commands) -> None:
    """Add the command to the program."""
    parser = add_command(commands, "fetch", "list studies of an archive and take one", _DESCRIPTION, _EPILOG)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--archive", metavar="TITLE@HOST:PORT", help="archive that speaks DICOM")
    where.add_argument("--web", metavar="URL", help="archive that speaks DICOMweb")
    question = parser.add_argument_group("which studies")
    question.add_argument("--accession", metavar="N", help="accession number")
    question.add_argument("--patient", metavar="N", help="patient's number")
    question.add_argument("--study", metavar="UID", help="StudyInstanceUID")
    question.add_argument(
        "--date", metavar="D", nargs="+", help="date of the study, or first and last date, YYYY-MM-DD"
    )
    parser.add_argument(
        "--take", type=int, metavar="N", help="number of the study in the list (needed where several fit)"
    )
    add_output_argument(parser, "new folder for the study (default: only list)", required=False)
    way = parser.add_argument_group("how the archive is spoken with")
    way.add_argument("--title", default="COVIDCT", metavar="T", help="title of this program (default: COVIDCT)")
    way.add_argument(
        "--way", choices=("get", "move"), default="get", help="C-GET, or C-MOVE to --host and --port (get)"
    )
    way.add_argument(
        "--host", default="127.0.0.1", metavar="A", help="address for C-MOVE to send to (default: 127.0.0.1)"
    )
    way.add_argument("--port", type=int, default=11112, metavar="N", help="port for C-MOVE to send to (default: 11112)")
    way.add_argument("--archive-tls", action="store_true", help="speak TLS with the archive")
    add_tls_arguments(way, "certificate of this program")
    way.add_argument("--credentials", metavar="FILE", help="file with user, password or token, of mode 600")
    parser.set_defaults(run=run, cancelled="Cancelled; nothing was kept.")


def run(args: argparse.Namespace) -> int:
    """Ask, list, and take.

    Raises
    ------
    CovidCTError
        If an option cannot be used, the archive is away or refuses, or the folder cannot be written to.
    """
    from CovidCTLib.archive.fetching import Question, choose, fetch
    from CovidCTLib.results import check_output_folder

    dates = args.date or [None, None]
    if len(dates) > 2:
        raise OptionsError(f"--date takes one date or two, but {len(dates)} were given. Give the first and the last.")
    question = Question(args.accession, args.patient, args.study, dates[0], dates[-1])
    if args.take is not None and args.output is None:
        raise OptionsError("--take chooses the study that is taken, but no folder is named. Name one by -o.")
    if args.output is not None:
        check_output_folder(args.output)
    client = _client(args)
    studies = client.find(question)
    if args.output is None:
        _list(studies)
        return 0
    if args.take is None and len(studies) > 1:
        _list(studies)
    study = choose(studies, args.take)
    count = fetch(client, study, args.output)
    say(f"Study:         {args.output} ({count} images and other objects, with the patient's data)")
    return 0


def _client(args: argparse.Namespace) -> ArchiveClient:
    """Make the client that the arguments name."""
    if args.web is not None:
        from CovidCTLib.archive.credentials import credentials_from
        from CovidCTLib.archive.web import WebClient, check_web_possible

        check_web_possible()
        return WebClient(args.web.rstrip("/"), credentials_from(args.credentials, os.environ))
    from CovidCTLib.archive.dimse import DimseClient
    from CovidCTLib.archive.nodes import (
        Node,
        TlsFiles,
        check_archive_possible,
        check_port,
        check_title,
        parse_node,
        tls_context,
    )

    check_archive_possible()
    if args.credentials is not None:
        raise OptionsError("--credentials are for DICOMweb; DICOM knows titles and TLS. Leave them out, or use --web.")
    files = TlsFiles(args.tls_cert, args.tls_key, args.tls_trust)
    archive = parse_node(args.archive, tls_context(files, server=False) if args.archive_tls else None)
    tls = tls_context(files, server=True) if args.archive_tls and args.way == "move" else None
    return DimseClient(archive, Node(check_title(args.title), args.host, check_port(args.port), tls), args.way)


def _list(studies: list[ArchivedStudy]) -> None:
    """Show what was found: date, kinds, number of images and description, which may name the patient's disease."""
    if not studies:
        say("No study fits.")
        return
    for number, study in enumerate(studies, start=1):
        count = "" if study.images is None else f"{study.images} images"
        say(f"{number:>3}  {study.date or 'no date':<10}  {'/'.join(study.modalities) or '?':<12}  {count:<12}  "
            f"{study.description}".rstrip())  # fmt: skip
