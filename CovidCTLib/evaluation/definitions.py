"""What each figure and each column of an evaluation means, and where its definition comes from."""

from __future__ import annotations

from collections.abc import Mapping

from CovidCTLib.evaluation.figures import Quantity
from CovidCTLib.evaluation.metrics import SURFACE_TOLERANCE_MM
from CovidCTLib.evaluation.statistics import BOOTSTRAP, CONFIDENCE_PERCENT, DRAWS, EXACT
from CovidCTLib.evaluation.transferred import LEAST_NORMAL_SLICES, LEAST_PATIENTS
from CovidCTLib.training.tasks import SPECIFICITY

_DICE = (
    "2 x voxels both found and true / (voxels found + voxels true); Dice 1945, doi:10.2307/1932409. Mean over the "
    "slices of slice sets and over the cases of volumes, where the truth is not empty."
)
_POOLED = "Dice of all voxels of all judged images together; false findings where the truth is empty count here."
_SURFACE = (
    f"Share of the surface voxels of both masks within {SURFACE_TOLERANCE_MM:g} mm of the other surface; Nikolov et "
    "al. 2021, doi:10.2196/26151. 0 where nothing is found."
)
_HAUSDORFF = (
    "The larger of the two 95th percentiles of the distance from one surface to the other; Taha and Hanbury 2015, "
    "doi:10.1186/s12880-015-0068-x."
)
_ML = "Volume found minus true volume; its mean is that of the absolute errors."
_PERCENT = "Volume found minus true volume, as a share of the true volume; its mean is that of the absolute errors."
_TRANSFERRED = (
    f"The threshold is the lowest that leaves {100 * SPECIFICITY:.0f} % of the normal slices of all other judged "
    "patients uncalled: no slice of a patient has a part in the own threshold. In a cross-validation, though, the "
    "others' slices were scored by models that had learned from this patient. Only where every patient has "
    f"{LEAST_NORMAL_SLICES} normal slices of {LEAST_PATIENTS} others."
)

REGION_NAMES: Mapping[str, str] = {
    "lungs": "lungs",
    "infection": "infection (GGO + consolidation)",
    "ggo": "ground-glass opacity",
    "consolidation": "consolidation",
    "effusion": "pleural effusion",
}
"""Regions that masks are compared in."""

INTERVALS: Mapping[str, str] = {
    BOOTSTRAP: (
        f"{CONFIDENCE_PERCENT:g} % interval from the percentiles of {DRAWS} draws of patients with replacement, among "
        "those that the figure is of; Efron 1979, doi:10.1214/aos/1176344552. There is none of one patient, of an AUC "
        "with one patient of a class, or where all draws give the same."
    ),
    EXACT: (
        f"{CONFIDENCE_PERCENT:g} % interval of a proportion of patients; Clopper and Pearson 1934, "
        "doi:10.1093/biomet/26.4.404. Rates have it where each patient has one entry, and where all patients have the "
        "same rate, in which case draws of patients would all give the same; the patients count as the trials."
    ),
}
"""What each kind of interval is."""


def _of_region(region: str) -> dict[str, Quantity]:
    name = REGION_NAMES[region]
    return {
        f"{region}_dice": Quantity(f"{name}: Dice", "", _DICE),
        f"{region}_pooled_dice": Quantity(f"{name}: pooled Dice", "", _POOLED),
        f"{region}_surface_dice": Quantity(f"{name}: surface Dice at {SURFACE_TOLERANCE_MM:g} mm", "", _SURFACE),
        f"{region}_hausdorff_95_mm": Quantity(f"{name}: 95 % Hausdorff distance", "mm", _HAUSDORFF),
        f"{region}_volume_error_ml": Quantity(f"{name}: volume error", "ml", _ML),
        f"{region}_volume_error_percent": Quantity(f"{name}: relative volume error", "%", _PERCENT),
    }


QUANTITIES: Mapping[str, Quantity] = {
    **{name: quantity for region in REGION_NAMES for name, quantity in _of_region(region).items()},
    "opacity_error_of_lungs_percent": Quantity(
        "opacity volume error as a share of the lungs",
        "percentage points",
        "100 x (opacity volume found - true opacity volume) / true lung volume; its mean is that of the absolute "
        "errors.",
    ),
    "false_opacity_percent": Quantity(
        "false opacity inside the labelled lungs",
        "%",
        "100 x opacity found inside the true lungs / true lungs, in patients who have another disease: none of it is "
        "like COVID-19.",
    ),
    "false_effusion_ml": Quantity(
        "false pleural effusion", "ml", "Volume called pleural effusion in CTs that are known to show none."
    ),
    "effusion_taken_percent": Quantity(
        "share of the effusion called lung or opacity",
        "%",
        "100 x true effusion that is found as lung, ground glass or consolidation / true effusion.",
    ),
    "opacity_of_lungs_percent": Quantity(
        "share of the lungs called opacity",
        "%",
        "100 x opacity volume found / lung volume found. In a CT without disease it should be 0.",
    ),
    "auc": Quantity(
        "AUC, all slices or cases together",
        "",
        "Chance that a positive slice (or case) scores higher than a negative one, ties counted half; Hanley and "
        "McNeil 1982, doi:10.1148/radiology.143.1.7063747. Slices score their probability, cases their share of "
        "positive slices.",
    ),
    "auc_within_case": Quantity(
        "AUC within a case",
        "",
        "AUC of the slices of one volume; the mean is over volumes that have both abnormal and normal slices.",
    ),
    "sensitivity": Quantity(
        "sensitivity",
        "",
        "Share of positives that are called positive at the model's own threshold. An abnormal slice in which too "
        "little lung was found to judge it counts as missed.",
    ),
    "specificity": Quantity(
        "specificity",
        "",
        "Share of negatives that are not called positive at the model's own threshold. Normal slices in which too "
        "little lung was found to judge them are left out.",
    ),
    "transferred_sensitivity": Quantity(
        "sensitivity at the threshold of the other patients", "", f"Share of positives that are called. {_TRANSFERRED}"
    ),
    "transferred_specificity": Quantity(
        "specificity at the threshold of the other patients",
        "",
        f"Share of negatives that are not called. {_TRANSFERRED}",
    ),
    "transferred_called_slices_percent": Quantity(
        "share of lung slices called positive at the threshold of the other patients",
        "%",
        f"Of the slices that count, which are those known to be normal. {_TRANSFERRED}",
    ),
    "accuracy": Quantity("accuracy", "", "Share of right calls at the model's own threshold."),
    "brier": Quantity(
        "Brier score",
        "",
        "Mean squared difference of probability and outcome, 0 is best; Brier 1950, "
        "doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.",
    ),
    "expected_calibration_error": Quantity(
        "expected calibration error",
        "",
        "Mean distance of probability and observed share over ten bins of equal width, weighed by their slices, 0 is "
        "best; Guo et al. 2017, arXiv:1706.04599.",
    ),
    "called_slices_percent": Quantity(
        "share of lung slices called positive",
        "%",
        "Of the slices with enough lung to be judged. In a CT without disease it should be 0.",
    ),
    "recommended_case_threshold": Quantity(
        "recommended case threshold",
        "",
        "Middle of the widest range of thresholds with the largest sensitivity + specificity - 1; Youden 1950, "
        "doi:10.1002/1097-0142(1950)3:1<32::AID-CNCR2820030106>3.0.CO;2-3. A case is positive where the share of "
        "positive slices among its lung slices is above it.",
    ),
    "found_ml": Quantity("volume found", "ml", "Voxels found times the voxel volume."),
    "true_ml": Quantity("true volume", "ml", "Voxels of the mask times the voxel volume."),
    "slices": Quantity("slices", "", "Slices that count."),
    "abnormal_slices": Quantity("abnormal slices", "", "Of the slices that count, those known to be abnormal."),
    "called_slices": Quantity("slices called positive", "", "Of the slices that count."),
    "unjudged_abnormal_slices": Quantity(
        "abnormal slices not judged", "", "Too little lung was found in them; they count as missed."
    ),
    "probability_threshold": Quantity("slice threshold", "", "Probability at or above which a slice is positive."),
    "case_threshold": Quantity(
        "case threshold", "", "Share of positive slices among lung slices above which a case is positive."
    ),
    "lung_slices": Quantity("lung slices", "", "Slices with enough lung to be judged."),
    "diseased": Quantity("COVID-19", "", "Whether the case is known to show COVID-19; another disease does not count."),
    "called_positive": Quantity("called like COVID-19", "", "Whether the case was called like COVID-19."),
}
"""Figures and columns by name."""


def label_of(name: str) -> str:
    """Label of a figure; errors are summed up by their sizes."""
    label = quantity_of(name).label
    return f"{label}, mean absolute" if "_error_" in name and "calibration" not in name else label


def quantity_of(name: str) -> Quantity:
    """Look a quantity up; ``ggo_found_ml`` and its like are the general one of their region."""
    if name in QUANTITIES:
        return QUANTITIES[name]
    region, _, rest = name.partition("_")
    general = QUANTITIES[rest]
    return Quantity(f"{REGION_NAMES[region]}: {general.label}", general.unit, general.definition)
