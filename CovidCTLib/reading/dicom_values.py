"""Values of a DICOM header, converted once for all the slices that say the same.

Most of a header is alike in every slice of a series, and pydicom takes as long to convert the values as to find them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, TypeVar

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.tag import BaseTag, Tag

_LASTING_VR = frozenset({"CS", "DA", "DS", "IS", "UI", "US"})
"""Value representations that mean the same in every data set: no character set and no sign of the pixels is needed to
read them (DICOM PS3.5, 6.2)."""

_TEXT_NUMBERS = frozenset({"DS", "IS"})
"""Numbers that are written as text."""

Converted = TypeVar("Converted")

_LONGEST_KEPT = 256
"""Longest stored value, in bytes, that is kept; a damaged length may take in the whole file."""

_KEPT_VALUES = 512
"""So many converted values are kept; a series has some dozens that do not change from slice to slice."""


class HeaderValues:
    """The elements of a data set by keyword, as `pydicom.dataset.Dataset.get` gives them.

    Parameters
    ----------
    dataset
        A data set as pydicom read it. It is not changed where a value is known from an earlier one.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self.unreadable: set[str] = set()

    def __contains__(self, keyword: str) -> bool:
        """Whether there is such an element, be it empty."""
        return _tag(keyword) in self.dataset

    def get(self, keyword: str, default: Any = None) -> Any:
        """Give the value of an element, or the default where there is no such element.

        Raises
        ------
        READ_FAILURES
            If the stored value cannot be converted.
        """
        tag = _tag(keyword)
        raw = self.dataset.get_item(tag, keep_deferred=True)
        if raw is None:
            return default
        if isinstance(raw, RawDataElement) and raw.value and len(raw.value) <= _LONGEST_KEPT:
            kind = raw.VR or dictionary_VR(tag)
            if kind in _LASTING_VR:
                try:
                    return _converted(tag, kind, raw.value, raw.is_little_endian)
                except (ValueError, TypeError, ArithmeticError):
                    if kind not in _TEXT_NUMBERS:
                        raise
                    return _with_decimal_commas(raw.value)
        return self.dataset.get(keyword, default)

    def optional(self, keyword: str, convert: Callable[[Any], Converted], read: Callable[[], Any]) -> Converted | None:
        """Give a value that no volume needs: one that cannot be read counts as absent, and its keyword is kept.

        Parameters
        ----------
        keyword
            What it is called in `unreadable`.
        convert
            Makes the value.
        read
            Reads it.
        """
        try:
            return convert(read())
        except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, NotImplementedError):
            self.unreadable.add(keyword)
            return None


def _with_decimal_commas(value: bytes) -> float | list[float]:
    """Read numbers with decimal commas, as some programs write them against the standard.

    Raises
    ------
    ValueError
        If they are no numbers even so.
    """
    numbers = [float(word.replace(",", ".")) for word in value.decode("ascii", "replace").strip(" \0").split("\\")]
    return numbers[0] if len(numbers) == 1 else numbers


@cache
def _tag(keyword: str) -> BaseTag:
    return Tag(keyword)


@lru_cache(maxsize=_KEPT_VALUES)
def _converted(tag: BaseTag, kind: str, value: bytes, is_little_endian: bool) -> Any:
    return convert_raw_data_element(RawDataElement(tag, kind, len(value), value, 0, False, is_little_endian)).value
