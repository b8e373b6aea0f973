"""Units as people read them. Records, tables for programs and names of measures keep the plain letters."""

from __future__ import annotations

MM3_PER_ML = 1000.0
"""Cubic millimetres in a millilitre."""

_UNIT_WORDS = {"cm3": "cm³", "mm3": "mm³", "mm2": "mm²", "cm2": "cm²"}

RAISED = {ord("²"): "2", ord("³"): "3"}
"""Exponents, and how they are written where a terminal has no character for them."""


def pretty_unit(unit: str) -> str:
    """Write a unit with its exponent raised."""
    return _UNIT_WORDS.get(unit, unit)
