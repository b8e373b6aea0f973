"""What the hiding tests say, in plain sentences."""

from __future__ import annotations

from collections.abc import Sequence

from CovidCTLib.explanation.hiding import MIN_FALL, RANDOM_REGIONS
from CovidCTLib.explanation.slice_explanation import METHODS, HidingTest, SliceExplanation, Verdict

VERDICT_WORDS: dict[Verdict, str] = {
    "explains": "explains the verdict",
    "partly": "explains a part at most",
    "unclear": "cannot be told from chance",
    "too large": "takes too much of the lung to be tested",
    "nothing": "explains nothing",
    "no region": "names nothing",
    "not abnormal": "nothing to explain",
}
"""What stands in the table."""


def probability_words(value: float | None) -> str:
    """Write a probability so that values near 0 and 1 stay apart from 0 and 1."""
    if value is None:
        return "–"
    if 0.005 <= value <= 0.995:
        return f"{value:.2f}"
    if value < 0.0005:
        return "under 0.0005"
    return "over 0.9995" if value > 0.9995 else f"{value:.3f}"


def hiding_sentence(test: HidingTest) -> str:
    """Say whether an explanation explains.

    Parameters
    ----------
    test
        The hiding test of one method in one slice.

    Returns
    -------
    str
        One or two sentences with the probabilities.
    """
    name = METHODS[test.method]
    begin = f"{name[0].upper()}{name[1:]}: "
    before, after = probability_words(test.before), probability_words(test.after)
    mean, lowest = probability_words(test.random_mean), probability_words(test.random_lowest)
    if test.verdict == "no region":
        return begin + "no part of the lungs is named, so there is nothing to hide."
    if test.verdict == "not abnormal":
        return (
            f"{begin}the classifier calls the slice not like COVID-19 ({before}), so there is no verdict to explain; "
            f"hiding what is named gives {after}."
        )
    if test.verdict == "explains":
        return (
            f"{begin}hiding it lowers the probability from {before} to {after}; hiding random regions of the same area "
            f"leaves {mean} on average and {lowest} at least. What is left is called not like COVID-19: it "
            "explains the verdict."
        )
    if test.verdict == "partly":
        little = test.after is not None and test.before - test.after < MIN_FALL
        but = f"by less than {MIN_FALL:g}" if little else "the classifier still calls what is left like COVID-19"
        return (
            f"{begin}hiding it lowers the probability from {before} to {after}, more than any random region of the "
            f"same area does ({lowest} at least), but {but}. It explains a part at most."
        )
    if test.verdict == "unclear":
        return (
            f"{begin}hiding it lowers the probability from {before} to {after}, more than random regions of the same "
            f"area do on average ({mean}), but {test.random_as_low} of {RANDOM_REGIONS} do as much ({lowest} at "
            "least). It cannot be told from chance."
        )
    if test.verdict == "too large":
        return (
            f"{begin}hiding it lowers the probability from {before} to {after}, but it takes {test.share_percent:.0f} "
            "% of the lung, and any region of that area hides most of the same lung. It cannot be tested by hiding."
        )
    if test.after is not None and test.after >= test.before:
        return f"{begin}hiding it does not lower the probability ({before} before, {after} after). It explains nothing."
    return (
        f"{begin}hiding it lowers the probability from {before} to {after}; {test.random_as_low} of {RANDOM_REGIONS} "
        f"random regions of the same area do as much ({mean} on average, {lowest} at least). It explains nothing."
    )


def slice_sentence(explained: SliceExplanation) -> str:
    """Say in one sentence which explanations of a slice explain."""
    if not explained.positive:
        return (
            "The classifier calls this slice not like COVID-19 (probability "
            f"{probability_words(explained.probability)}), so no explanation can be put to the test."
        )
    by_verdict = {
        verdict: [METHODS[test.method] for test in explained.tests if test.verdict == verdict]
        for verdict in ("explains", "partly", "unclear", "too large", "no region")
    }
    start = f"The classifier calls this slice like COVID-19 (probability {probability_words(explained.probability)}). "
    if by_verdict["explains"]:
        return start + f"By the hiding test, these explain it: {_listed(by_verdict['explains'])}."
    if by_verdict["partly"]:
        return start + (
            f"No explanation explains it whole; these point at a part of what it rests on: "
            f"{_listed(by_verdict['partly'])}."
        )
    if len(by_verdict["no region"]) == len(explained.tests):
        return start + "No explanation names a part of the lungs, so there was nothing to hide: it stays unexplained."
    if by_verdict["too large"]:
        return start + (
            "Whether these explain it cannot be tested, since they take most of the lung: "
            f"{_listed(by_verdict['too large'])}. No other explanation explains it."
        )
    if by_verdict["unclear"]:
        return start + (
            f"No explanation is shown to explain it; these cannot be told from chance: "
            f"{_listed(by_verdict['unclear'])}."
        )
    return start + "No explanation explains it: hiding what they name does no more than hiding any lung."


def _listed(methods: Sequence[str]) -> str:
    """Set names of methods in a row; by semicolons, since a name may hold a comma ("Grad-CAM, fused")."""
    return "; ".join(methods)
