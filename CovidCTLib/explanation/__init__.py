"""Why the slice classifier calls a slice like COVID-19: Grad-CAM, LIME and the opacities, each put to the test."""

from CovidCTLib.explanation.explain import DEFAULT_SAMPLES, DEFAULT_WORST, explain_slices
from CovidCTLib.explanation.output import write_explanation
from CovidCTLib.explanation.slice_explanation import Explanation, HidingTest, SliceExplanation

__all__ = [
    "DEFAULT_SAMPLES",
    "DEFAULT_WORST",
    "Explanation",
    "HidingTest",
    "SliceExplanation",
    "explain_slices",
    "write_explanation",
]
