"""Names of the files in a result folder."""

from __future__ import annotations

SEGMENTATION_FILE = "segmentation.seg.nrrd"
LABELMAP_FILE = "labelmap.nii.gz"
LOCALIZATION_FILE = "localization.nii.gz"
RECORD_FILE = "analysis.json"
MEASURES_FILE = "measures.csv"
SLICES_FILE = "slices.csv"
REPORT_FILE = "report.html"
PDF_FILE = "report.pdf"
SCAN_FILE = "ct.nii.gz"
