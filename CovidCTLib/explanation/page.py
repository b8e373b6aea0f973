"""The page of an explanation, in the design that all reports share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from CovidCTLib.explanation import hiding, superpixels
from CovidCTLib.explanation.picture import AGAINST_COLOUR, FOR_COLOUR, NAMED_COLOUR, Panel
from CovidCTLib.explanation.sentences import VERDICT_WORDS, hiding_sentence, probability_words, slice_sentence
from CovidCTLib.explanation.slice_explanation import METHODS, Explanation, SliceExplanation
from CovidCTLib.hu import READING_WINDOW
from CovidCTLib.labels import LUNG_LABELS
from CovidCTLib.report.embedded import Picture, embed_image
from CovidCTLib.report.page import render_page
from CovidCTLib.report.pictures import labels_present

TITLE = "Why these slices?"

TEST_COLUMNS = (
    ("what is hidden", ""),
    ("share of the lung", "%"),
    ("probability before", ""),
    ("after", ""),
    ("random regions: mean", ""),
    ("random regions: lowest", ""),
    ("verdict", ""),
)


@dataclass(frozen=True)
class Term:
    """A word of the page, what it means, and where it comes from."""

    label: str
    unit: str
    definition: str
    source: str


TERMS = (
    Term(
        "Grad-CAM",
        "",
        "Class activation map of the slice classifier: how much each cell of a layer's activations speaks for disease, "
        "0 to 1, at 14 × 14 and at 28 × 28 cells, brought to the size of the lung crop; fused: their product. A map "
        f"names the lung at or above {100 * hiding.NAMED_LEVEL:g} % of its largest value there, outlined in white; one "
        f"that stays under {hiding.FAINT:g} names nothing.",
        "Selvaraju et al. 2017, doi:10.1109/ICCV.2017.74; arXiv 2003.05037.",
    ),
    Term(
        "LIME",
        "",
        "The lungs are cut into superpixels; superpixels are hidden at random, and a linear model of the classifier's "
        "log odds says how much each one adds. Regions for and against are superpixels whose weight reaches "
        f"{100 * superpixels.NAMED_SHARE:g} % of the largest; R² says how well the linear model fits.",
        "Ribeiro et al. 2016, doi:10.1145/2939672.2939778; superpixels: Achanta et al. 2012, "
        "doi:10.1109/TPAMI.2012.120.",
    ),
    Term(
        "Opacities of the U-Net",
        "",
        "Ground-glass opacity and consolidation found by another network, which does not know the classifier.",
        "The opacity network's model card.",
    ),
    Term(
        "Hiding test",
        "",
        "What an explanation names is replaced by the median of the slice's lung without opacity "
        f"({hiding.HEALTHY_LUNG_HU} HU where less than {100 * hiding.MIN_HEALTHY_SHARE:g} % of it is without), and the "
        f"classifier is asked again; so it is for {hiding.RANDOM_REGIONS} random regions of the same area. An "
        "explanation explains the verdict if the probability falls below that of every random region, by at least "
        f"{hiding.MIN_FALL:g}, and under the slice threshold; a part at most, if only the first holds. It cannot be "
        f"told from chance if a random region does as much, but they leave {hiding.MIN_FALL:g} more on average; else "
        f"it explains nothing. Above {100 * hiding.LARGEST_TESTED_SHARE:.0f} % of the lung a region cannot be tested "
        "so, since every region of that size hides most of the same lung.",
        "Petsiuk et al. 2018, arXiv 1806.07421, for the deletion of regions; the random regions are CovidCT's.",
    ),
)
"""The words of the page with their definitions."""


def explanation_page(explanation: Explanation, panels: Mapping[int, tuple[Panel, ...]]) -> str:
    """Write an explanation as HTML.

    Parameters
    ----------
    explanation
        The explanation.
    panels
        The panels of each slice, by its number.

    Returns
    -------
    str
        One HTML document with all pictures inside; it names no address and runs no script.
    """
    analysis = explanation.analysis
    return render_page(
        "explanation.html.j2",
        title=TITLE,
        folder=Path(__file__).parent / "templates",
        models=[f"{model.name} {model.version}" for model in analysis.models],
        entries=[_entry(explanation, explained, panels[explained.index]) for explained in explanation.slices],
        columns=TEST_COLUMNS,
        window=READING_WINDOW,
        lung_labels=LUNG_LABELS,
        opacity_labels=labels_present(analysis),
        for_colour=FOR_COLOUR,
        against_colour=AGAINST_COLOUR,
        named_colour=NAMED_COLOUR,
        terms=TERMS,
        facts=(
            ("Slices explained", ", ".join(str(explained.index) for explained in explanation.slices)),
            ("Slice threshold", f"{analysis.case.slice_threshold:g}"),
            ("LIME's samples a slice", str(explanation.samples)),
            ("Seed", str(explanation.seed)),
        ),
        networks=[(f"{model.name} {model.version}", model.sha256) for model in analysis.models],
    )


@dataclass(frozen=True)
class Entry:
    """One slice as the template shows it."""

    index: int
    heading: str
    sentence: str
    pictures: tuple[Picture, ...]
    rows: tuple[tuple[str, ...], ...]
    sentences: tuple[str, ...]


def _entry(explanation: Explanation, explained: SliceExplanation, panels: tuple[Panel, ...]) -> Entry:
    """Put one slice into words and pictures."""
    spacing_known = explanation.analysis.scan.facts.spacing_known
    position = f", S {explanation.analysis.slices[explained.index].position_mm:.1f} mm" if spacing_known else ""
    return Entry(
        explained.index,
        f"Slice {explained.index}{position}: {explained.reason}",
        slice_sentence(explained),
        tuple(embed_image(panel.image, panel.alt, panel.title, panel.caption) for panel in panels),
        tuple(
            (
                METHODS[test.method],
                f"{test.share_percent:.1f}",
                *(probability_words(p) for p in (test.before, test.after, test.random_mean, test.random_lowest)),
                VERDICT_WORDS[test.verdict],
            )
            for test in explained.tests
        ),
        tuple(hiding_sentence(test) for test in explained.tests),
    )
