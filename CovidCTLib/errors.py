"""The errors that CovidCT raises on purpose, and the notices that it attaches to a result.

Every message says what was expected, what was found and what to do, and never holds patient data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from CovidCTLib.units import pretty_unit

Severity = Literal["refuse", "warn", "note"]


class CovidCTError(Exception):
    """Base of every error that CovidCT raises on purpose; the terminal prints it as one line, exit code 1.

    Parameters
    ----------
    *args
        The message.
    notice
        The quality check that refused, with its code, value and limit, where it was one.
    hint
        A further sentence for whoever sits at the terminal, with its options and commands; it is shown there alone, and
        the message must do without it.
    """

    def __init__(self, *args: object, notice: Notice | None = None, hint: str = "") -> None:
        super().__init__(*args)
        self.notice = notice
        self.hint = hint


class InputError(CovidCTError):
    """The input cannot be read as a chest CT (missing, corrupt, not a CT, wrong shape, type or values)."""


class SeriesChoiceError(InputError):
    """A DICOM folder holds several series and the one asked for is not among them, or is ambiguous."""


class QualityError(CovidCTError):
    """The scan was read, but no number can be stood behind (no lungs in view, no HU, ...)."""


class OptionsError(CovidCTError):
    """An option has a value that cannot be used; the terminal exits with code 2."""


class ModelError(CovidCTError):
    """Weights are missing, damaged, of another architecture, or no state dict."""


class OutputError(CovidCTError):
    """Results cannot be written (folder not empty, not writable, disk full)."""


class TrainingDataError(CovidCTError):
    """The layout or content of a training folder is wrong."""


class CancelledError(CovidCTError):
    """The caller asked to stop; nothing was written and nothing was changed."""


@dataclass(frozen=True)
class Notice:
    """One thing that a reader of the results must know.

    Parameters
    ----------
    code
        Short stable identifier in kebab case, e.g. ``"thick-slices"``.
    text
        A plain sentence for a clinician, without patient data.
    severity
        ``"refuse"``, ``"warn"`` or ``"note"``.
    value, limit, unit
        The measured value and the limit it was held against, where there are such.
    """

    code: str
    text: str
    severity: Severity = "warn"
    value: float | None = None
    limit: float | None = None
    unit: str | None = None

    @property
    def numbers(self) -> str:
        """Value and limit in words, with up to two decimals; empty where there is neither."""
        unit = f" {pretty_unit(self.unit)}" if self.unit else ""
        said = (("found", self.value), ("limit", self.limit))
        return ", ".join(f"{word} {round(number, 2):.10g}{unit}" for word, number in said if number is not None)
