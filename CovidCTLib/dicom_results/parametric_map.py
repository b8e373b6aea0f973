"""The localization as DICOM parametric map: float32, 0 to 1, the planes in which it is not zero."""

from __future__ import annotations

from typing import Any

import numpy as np

from CovidCTLib import __version__
from CovidCTLib.dicom_results.codes import LOCALIZED, PRIVATE_SCHEME
from CovidCTLib.dicom_results.segmentation import mend_references
from CovidCTLib.dicom_results.study import MAKER, MODEL_NAME, RESEARCH_ONLY, Study, coded, stamp, surrogates
from CovidCTLib.labels import Code

PARAMETRIC_MAP_CLASS = "1.2.840.10008.5.1.4.1.1.30"
"""Parametric Map Storage (DICOM PS3.4, table B.5-1)."""

_SMALL = 8
"""Rows and columns of the stand-ins that highdicom makes the object from; see `segmentation`."""

_NO_UNITS = Code("1", "UCUM", "no units")


def make_parametric_map(study: Study) -> Any:
    """Make the parametric map of the localization.

    Parameters
    ----------
    study
        The analysis and where it goes.

    Returns
    -------
    highdicom.pm.ParametricMap
        float32 without loss, on the scan's own grid; planes that are zero all over are left out, of an empty
        localization all but the first.
    """
    import highdicom as hd

    localization = study.analysis.localization
    count, rows, columns = localization.shape
    planes = [plane for plane in range(count) if localization[plane].any()] or [0]
    described = surrogates(study, _SMALL, _SMALL)
    sources = [described[plane] for plane in planes]
    uid, number, _ = study.series_of("PM")
    made = hd.pm.ParametricMap(
        sources,
        np.zeros((len(planes), _SMALL, _SMALL), np.float32),
        uid,
        number,
        study.instance("PM"),
        1,
        MAKER,
        MODEL_NAME,
        __version__,
        __version__,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[
            hd.pm.RealWorldValueMapping(
                lut_label="LOCALIZATION",
                lut_explanation=LOCALIZED.meaning,
                unit=coded(_NO_UNITS),
                value_range=(0.0, 1.0),
                slope=1.0,
                intercept=0.0,
                quantity_definition=coded(Code("LOCALIZATION", PRIVATE_SCHEME, LOCALIZED.meaning)),
            )
        ],
        voi_lut_transformations=[hd.VOILUTTransformation(window_center=0.5, window_width=1.0)],
        content_label="COVIDCT",
        content_description=RESEARCH_ONLY[:64],
    )
    stamp(made, study, "PM")
    made.Rows, made.Columns = rows, columns
    plane_at = {tuple(str(v) for v in described[plane].ImagePositionPatient): plane for plane in planes}
    order = [
        plane_at[tuple(str(v) for v in item.PlanePositionSequence[0].ImagePositionPatient)]
        for item in made.PerFrameFunctionalGroupsSequence
    ]
    made.FloatPixelData = b"".join(np.ascontiguousarray(localization[plane], "<f4").tobytes() for plane in order)
    mend_references(made, study, order)
    return made
