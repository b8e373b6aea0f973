"""Slicer's classes that are not the panel's: the module without its panel, and what is saved with the scene."""

from __future__ import annotations

from CovidCTModule.logic import CovidCTLogic
from CovidCTModule.parameters import CovidCTParameterNode

__all__ = ["CovidCTLogic", "CovidCTParameterNode"]
