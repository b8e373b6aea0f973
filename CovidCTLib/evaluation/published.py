"""Published figures that the evaluation is shown beside, with their sources and their cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from CovidCTLib.evaluation.figures import Figure, TaskName

MUELLER = "Müller et al. 2021, doi:10.1016/j.imu.2021.100681"
MA = "Ma et al. 2021, doi:10.1002/mp.14676"
BARTOLI = "Bartoli et al. 2022, doi:10.1016/j.redii.2022.100003"
INF_NET = "Fan et al. 2020, doi:10.1109/TMI.2020.2996645"
FSS = "Abdel-Basset et al. 2021, doi:10.1016/j.knosys.2020.106647"
RADLOGICS = "Gozes et al. 2020, arXiv:2003.05037"
INRAD = "population study of 1,294 scans on InRad's open data"

TWENTY = "20 CTs of COVID-19-CT-Seg, cross-validated"
SEMISEG = "48 slices of COVID-SemiSeg, trained on its 50 others"


@dataclass(frozen=True)
class Published:
    """One published figure.

    Parameters
    ----------
    task
        Which evaluation it stands beside.
    what
        What it measures.
    system
        Whose it is.
    value
        The figure, without unit.
    cases
        What it was measured on.
    source
        Where it was published.
    beside
        Kind of cases and name of the figure of the evaluation that come nearest to it.
    """

    task: TaskName
    what: str
    system: str
    value: float
    cases: str
    source: str
    beside: tuple[tuple[str, str], ...]


def _infection(system: str, value: float, cases: str, source: str, kinds: tuple[str, ...]) -> Published:
    """One published Dice of the infection."""
    beside = tuple((kind, "infection_dice") for kind in kinds)
    return Published("opacities", "infection, Dice", system, value, cases, source, beside)


def _side(side: str, value: float) -> Published:
    """One published Dice of a lung; the masks here do not tell sides."""
    beside = (("volume", "lungs_dice"),)
    return Published("lungs", f"{side} lung, Dice (here: both lungs)", "nnU-Net", value, TWENTY, MA, beside)


_SCANS = ("volume", "calibrated pictures")
_PHOTOS = ("photographs",)

PUBLISHED: tuple[Published, ...] = (
    Published(
        "lungs", "lungs, Dice", "3D U-Net", 0.956, TWENTY, MUELLER,
        tuple((kind, "lungs_dice") for kind in _SCANS),
    ),
    _side("left", 0.973),
    _side("right", 0.977),
    _infection("nnU-Net", 0.673, TWENTY, MA, _SCANS),
    _infection("3D U-Net", 0.761, TWENTY, MUELLER, _SCANS),
    _infection("human readers, inter-observer", 0.70, "30 low-dose CTs", BARTOLI, _SCANS),
    _infection("U-Net", 0.439, SEMISEG, INF_NET, _PHOTOS),
    _infection("Inf-Net", 0.682, SEMISEG, INF_NET, _PHOTOS),
    _infection("Semi-Inf-Net", 0.739, SEMISEG, INF_NET, _PHOTOS),
    Published("opacities", "GGO, Dice", "Semi-Inf-Net & MC", 0.639, SEMISEG, INF_NET, (("photographs", "ggo_dice"),)),
    Published(
        "opacities", "consolidation, Dice", "Semi-Inf-Net & MC", 0.471, SEMISEG, INF_NET,
        (("photographs", "consolidation_dice"),),
    ),
    Published("opacities", "GGO, Dice", "FSS-2019-nCov", 0.679, SEMISEG, FSS, (("photographs", "ggo_dice"),)),
    Published(
        "opacities", "consolidation, Dice", "FSS-2019-nCov", 0.529, SEMISEG, FSS,
        (("photographs", "consolidation_dice"),),
    ),
    Published(
        "slices", "slice classifier, accuracy", "representative slices", 0.80, "one slice of each scan", INRAD,
        (("volume", "accuracy"),),
    ),
    Published(
        "cases", "COVID against non-COVID, AUC", "RADLogics", 0.996,
        "157 private cases", RADLOGICS, (("volume", "auc"),),
    ),
)  # fmt: skip
"""The figures to beat, with their sources."""

NOT_THE_SAME_CASES = (
    "Published figures were measured on the cases named beside them; a comparison is fair only where these are the "
    "cases judged here and were unseen in training."
)


@dataclass(frozen=True)
class Comparison:
    """A published figure with the figures of this evaluation that come nearest to it."""

    published: Published
    measured: tuple[Figure, ...]


def compare(task: TaskName, figures: Sequence[Figure]) -> tuple[Comparison, ...]:
    """Put published figures beside those of an evaluation."""
    return tuple(
        Comparison(p, tuple(f for f in figures if (f.kind, f.name) in p.beside)) for p in PUBLISHED if p.task == task
    )
