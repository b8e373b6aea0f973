"""The report: one HTML file with pictures, chart, tables and definitions, which needs nothing beside itself."""

from __future__ import annotations

from CovidCTLib.report.html import render_report, write_report

__all__ = ["render_report", "write_report"]
