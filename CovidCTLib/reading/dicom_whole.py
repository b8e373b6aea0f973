"""Series that belong together though their UIDs differ, and files whose pixels are not where they should be."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

from CovidCTLib.errors import Notice
from CovidCTLib.reading.dicom_headers import Elsewhere, FileHeader

MIN_JOINED = 3
"""So many series of one image each are put together, at least; two may be a scout view and a test slice."""

_ELSEWHERE: dict[Elsewhere, str] = {
    "float": "hold floating-point pixels (FloatPixelData), which are not read. Export the series as CT images with "
    "whole numbers and a rescale",
    "Philips": "hold their pixels in a compression of the maker's own (Philips, element 07A1,100A), which is not read. "
    "Export the series uncompressed from the scanner's or the archive's software",
    "nowhere": "hold no pixels: they end behind the header. Copy or export the series with its images",
}


def join_lone_images(by_uid: dict[str, list[FileHeader]]) -> dict[str, tuple[Notice, ...]]:
    """Put images together that have a SeriesInstanceUID of their own each, as careless anonymizers write.

    Parameters
    ----------
    by_uid
        Files by SeriesInstanceUID; changed in place: the first UID of a group takes all its images.

    Returns
    -------
    dict
        Notices by the UID that took the images of others.

    Notes
    -----
    Images belong together where kind, size, pixel spacing, orientation and kernel are the same, and no two lie at one
    place. Series of several images are left alone.
    """
    groups: dict[Hashable, list[str]] = defaultdict(list)
    for uid, headers in by_uid.items():
        if len(headers) == 1 and len(headers[0].frames) == 1 and headers[0].frames[0].position_lps_mm is not None:
            frame = headers[0].frames[0]
            if frame.kind in ("original", "derived"):
                key = (frame.kind, frame.rows, frame.columns, frame.spacing_yx_mm, frame.orientation_lps, frame.kernel)
                groups[key, headers[0].series_number].append(uid)
    notices: dict[str, tuple[Notice, ...]] = {}
    for uids in groups.values():
        positions = {by_uid[uid][0].frames[0].position_lps_mm for uid in uids}
        if len(uids) < MIN_JOINED or len(positions) < len(uids):
            continue
        first, *others = uids
        for uid in others:
            by_uid[first] += by_uid.pop(uid)
        text = (
            f"{len(uids)} images have a series UID of their own each, as some anonymizers write; they have one size, "
            "spacing, orientation and kernel, and were put together. Check that all are of one patient and one scan."
        )
        notices[first] = (Notice("series-put-together", text, value=float(len(uids)), unit="images"),)
    return notices


def why_no_pixels(headers: Sequence[FileHeader]) -> str | None:
    """Say why a series' files cannot all be decoded: cut off, or with their pixels elsewhere; None where they can.

    Parameters
    ----------
    headers
        Of the series.
    """
    elsewhere = Counter(header.elsewhere for header in headers if header.elsewhere is not None)
    if elsewhere:
        where, count = elsewhere.most_common(1)[0]
        return (
            f"Images with their pixels in PixelData were expected, but {count} of {len(headers)} files "
            f"{_ELSEWHERE[where]}."
        )
    cut_off = sum(not header.complete for header in headers)
    if not cut_off:
        return None
    return (
        f"All files of the series must be whole, but {cut_off} of {len(headers)} are truncated. Copy or export the "
        "series again."
    )
