"""The panel's widgets and processes: what the user sees and may press. No voxels, no scene, no computation."""

from __future__ import annotations

from CovidCTPanel.batch_section import BatchSection
from CovidCTPanel.charts import Charts
from CovidCTPanel.controller import Controller
from CovidCTPanel.folder_analysis import analyzeCases
from CovidCTPanel.followup_section import FollowUpSection, StudyEntry
from CovidCTPanel.given_section import GivenSection
from CovidCTPanel.installation import (
    installPackages,
    installWithConsent,
    isExtensionMissing,
    missingPackages,
    requirePackages,
)
from CovidCTPanel.panel import Panel, connectFolderButton
from CovidCTPanel.previous_layout import PreviousLayout
from CovidCTPanel.settings import (
    CASE_THRESHOLD_OF_MODEL,
    DEFAULT_AERATION_LIMITS_HU,
    DEFAULT_HIGH_OPACITY_HU,
    DEFAULT_LOCALIZATION_SIGMA_MM,
    DEFAULT_LOCALIZATION_THRESHOLD,
    DEFAULT_VESSEL_HU,
    HIGHEST_HU,
    HIGHEST_LOCALIZATION_THRESHOLD,
    HIGHEST_SIGMA_MM,
    HIGHEST_THRESHOLD,
    LOWEST_HU,
    SLICE_THRESHOLD_OF_MODEL,
    Device,
    LungsEngine,
    advancedText,
    connectWidgets,
    resetSettings,
)
from CovidCTPanel.status_bar import statusBarProgress
from CovidCTPanel.summary import Cell
from CovidCTPanel.table_views import TableViews
from CovidCTPanel.talkative import quietLibraries

__all__ = [
    "CASE_THRESHOLD_OF_MODEL",
    "DEFAULT_AERATION_LIMITS_HU",
    "DEFAULT_HIGH_OPACITY_HU",
    "DEFAULT_LOCALIZATION_SIGMA_MM",
    "DEFAULT_LOCALIZATION_THRESHOLD",
    "DEFAULT_VESSEL_HU",
    "HIGHEST_HU",
    "HIGHEST_LOCALIZATION_THRESHOLD",
    "HIGHEST_SIGMA_MM",
    "HIGHEST_THRESHOLD",
    "LOWEST_HU",
    "SLICE_THRESHOLD_OF_MODEL",
    "BatchSection",
    "Cell",
    "Charts",
    "Controller",
    "Device",
    "FollowUpSection",
    "GivenSection",
    "LungsEngine",
    "Panel",
    "PreviousLayout",
    "StudyEntry",
    "TableViews",
    "advancedText",
    "analyzeCases",
    "connectFolderButton",
    "connectWidgets",
    "installPackages",
    "installWithConsent",
    "isExtensionMissing",
    "missingPackages",
    "quietLibraries",
    "requirePackages",
    "resetSettings",
    "statusBarProgress",
]
