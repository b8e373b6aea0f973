"""Which scans a source holds: a folder tree on a disk or in a storage system, or a manifest."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from CovidCTLib.cohort.manifest import is_manifest, read_manifest
from CovidCTLib.cohort.scans import CohortScan
from CovidCTLib.cohort.storage import StoredFile, count_links, join, list_files, read_start
from CovidCTLib.errors import InputError, OptionsError
from CovidCTLib.reading.dicom_files import DIRECTORY_NAME
from CovidCTLib.reading.volume_files import FORMATS, format_of

_ARCHIVE = ".zip"
_DICOM_ENDINGS = (".dcm", ".dicom", ".ima")
_PREAMBLE = 128
"""Bytes before the letters DICM, DICOM PS3.10 section 7.1."""

_HEADERS = {".mhd": (".raw", ".zraw", ".raw.gz"), ".nhdr": (".raw", ".raw.gz")}
"""Endings of volume headers, and those of the files of the same name that hold the values."""

_TRIED_FILES = 3
"""Files of a folder that are looked into before it counts as one without DICOM."""

_ID_DIGITS = 12
_STAMP_DIGITS = 32


def find_scans(
    source: str,
    *,
    include: str | None = None,
    classes: Collection[str] = (),
    class_of_folder: bool = False,
) -> tuple[CohortScan, ...]:
    """Find the scans of a source, without reading them.

    Parameters
    ----------
    source
        A folder or a URL of one (each volume file, ZIP archive and folder right above DICOM files is a scan), a single
        scan's file, or a manifest (`CovidCTLib.cohort.manifest.read_manifest`).
    include
        Of a folder only what matches this pattern counts, such as ``"*_ct.nii.gz"``: the path inside the source, ``*``
        for any characters.
    classes
        Only scans of these classes; empty takes all.
    class_of_folder
        Whether the class of a scan is the name of the topmost folder inside the source that it lies in.

    Returns
    -------
    tuple of CohortScan
        In the order of their ids. Ids that the source does not give are made of the path inside it: ``scan-`` and 12
        hexadecimal digits, which tell nothing of the path.

    Raises
    ------
    InputError
        If there is no scan, or the source or manifest cannot be used.
    OptionsError
        If a class does not occur, or a pattern or class by folder is asked of a manifest.
    CovidCTError
        If the package that reads from that storage system is not installed.
    """
    if is_manifest(source):
        if include is not None or class_of_folder:
            raise OptionsError(
                "A manifest names its scans and classes itself, but --include or --class-from-folder was given, too. "
                "Leave these out."
            )
        scans = [_sized(*entry) for entry in _listed(read_manifest(source))]
    else:
        scans = _in_tree(source, include, class_of_folder)
    _check_classes(scans, classes)
    chosen = [scan for scan in scans if not classes or scan.class_name in classes]
    return tuple(sorted(chosen, key=lambda scan: scan.id))


def id_of(name: str) -> str:
    """Make an id that tells nothing of the path that it stands for.

    Parameters
    ----------
    name
        Path inside the source, with ``/``.
    """
    return f"scan-{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:_ID_DIGITS]}"


def _in_tree(source: str, include: str | None, class_of_folder: bool) -> list[CohortScan]:
    """Group the files of a tree into scans."""
    files = list_files(source)
    groups = _grouped(source, files)
    names = [name for name in groups if include is None or fnmatchcase(name, include)]
    if not names:
        kinds = ", ".join((*FORMATS, _ARCHIVE))
        matching = "" if include is None else " whose path matches --include"
        links = count_links(source)
        unfollowed = f", and its {links} links are not followed" if links else ""
        advice = "Give the folder that they lead to, or a manifest of the files" if links else "Check the path"
        raise InputError(
            f"A source with scans ({kinds}, or folders of DICOM files) was expected, but among its {len(files)} files "
            f"there is none{matching}{unfollowed}. {advice}."
        )
    scans = []
    for name in names:
        parts = PurePosixPath(name).parts
        scan = CohortScan(
            id=id_of(name),
            address=join(source, name) if name else source,
            beside=tuple(PurePosixPath(file.name).name for file in groups[name][1:] if _is_header(name)),
            class_name=parts[0] if class_of_folder and len(parts) > 1 else "",
        )
        scans.append(_sized(scan, groups[name], name))
    return scans


def _grouped(source: str, files: Sequence[StoredFile]) -> dict[str, list[StoredFile]]:
    """Files of each scan by its name: that of its file, or of the folder of its DICOM files."""
    by_name = {file.name: file for file in files}
    groups: dict[str, list[StoredFile]] = {}
    others: dict[str, list[StoredFile]] = defaultdict(list)
    for file in files:
        name = PurePosixPath(file.name or source)
        if format_of_name(name.name) or name.name.lower().endswith(_ARCHIVE):
            groups[file.name] = [file, *_values_beside(file.name, by_name)]
        elif name.name.upper() != DIRECTORY_NAME:
            others["" if str(name.parent) == "." or not file.name else str(name.parent)].append(file)
    for folder, candidates in others.items():
        if _holds_dicom(source, candidates):
            groups[folder] = candidates
    return groups


def format_of_name(name: str) -> bool:
    """Whether a file's name is that of a volume."""
    from pathlib import Path

    return format_of(Path(name)) is not None


def _is_header(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in _HEADERS


def _values_beside(name: str, by_name: dict[str, StoredFile]) -> list[StoredFile]:
    """Files that hold the values of a volume header."""
    header = PurePosixPath(name)
    endings = _HEADERS.get(header.suffix.lower(), ())
    return [by_name[str(header.with_suffix(end))] for end in endings if str(header.with_suffix(end)) in by_name]


def _holds_dicom(source: str, files: Sequence[StoredFile]) -> bool:
    """Whether a folder's files are DICOM, by their names or else by the letters in the first few."""
    if any(file.name.lower().endswith(_DICOM_ENDINGS) for file in files):
        return True
    tried = [file for file in files if file.size_bytes > _PREAMBLE][:_TRIED_FILES]
    return any(read_start(join(source, file.name), _PREAMBLE + 4)[_PREAMBLE:] == b"DICM" for file in tried)


def _listed(scans: Sequence[CohortScan]) -> Iterable[tuple[CohortScan, Sequence[StoredFile], str]]:
    """List the files of a manifest's scans; refuse all together what is not there."""
    from concurrent.futures import ThreadPoolExecutor

    def listed(scan: CohortScan) -> tuple[StoredFile, ...] | InputError:
        try:
            return list_files(scan.address)
        except InputError as error:
            return error

    # Storage systems take their time for each answer.
    with ThreadPoolExecutor(16, thread_name_prefix="covidct-listing") as pool:
        listings = list(pool.map(listed, scans))
    missing = [number for number, entry in enumerate(listings, start=1) if isinstance(entry, InputError) or not entry]
    if missing:
        why = next((str(entry) for entry in listings if isinstance(entry, InputError)), "The folder is empty.")
        raise InputError(
            f"Every scan of the manifest must be there, but {len(missing)} of {len(scans)} cannot be found "
            f"({rows_in_words(missing)}): {why}"
        )
    for scan, files in zip(scans, listings, strict=True):
        if not isinstance(files, InputError):
            named = scan if scan.id else replace(scan, id=id_of(scan.address))
            yield named, files, scan.address


def rows_in_words(numbers: Sequence[int]) -> str:
    """Name the first few rows of a manifest, counted from 1 without the header."""
    shown = ", ".join(str(number) for number in numbers[:5])
    more = ", ..." if len(numbers) > 5 else ""
    return f"row{'s' if len(numbers) > 1 else ''} {shown}{more}"


def _sized(scan: CohortScan, files: Sequence[StoredFile], name: str) -> CohortScan:
    """Add size and stamp."""
    lines = [f"{file.name}\0{file.size_bytes}\0{file.version}" for file in files]
    text = "\n".join([name, *lines]).encode("utf-8", "surrogateescape")
    stamp = hashlib.sha256(text).hexdigest()[:_STAMP_DIGITS]
    return replace(scan, bytes=sum(file.size_bytes for file in files), stamp=stamp)


def _check_classes(scans: Iterable[CohortScan], classes: Collection[str]) -> None:
    """Refuse classes that no scan has."""
    there = sorted({scan.class_name for scan in scans if scan.class_name})
    unknown = sorted(set(classes) - set(there))
    if unknown:
        those = f"those of the source are {', '.join(there)}" if there else "the source gives no class to any scan"
        raise OptionsError(
            f"The classes of --class must occur in the source, but {', '.join(unknown)} does not; {those}. Correct "
            "--class, or give classes by a manifest or --class-from-folder."
        )
