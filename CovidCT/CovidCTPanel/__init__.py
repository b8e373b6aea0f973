"""The panel's widgets: what the user sees and may press. No voxels, no scene, no computation."""

from __future__ import annotations

from CovidCTPanel.panel import Panel
from CovidCTPanel.requirements import PYTORCH_REQUIREMENT, missingRequirements
from CovidCTPanel.summary import noticeLines, summaryLines

__all__ = ["PYTORCH_REQUIREMENT", "Panel", "missingRequirements", "noticeLines", "summaryLines"]
