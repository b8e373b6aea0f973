"""A small page of every kind, for what all pages have in common."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

from report_maker import make_analysis, make_arrays

from CovidCTLib.report import render_report

HERE = Path(__file__).parents[1]


def case_page(_folder: Path) -> str:
    """With notices of each kind and all of the pictures."""
    return render_report(make_analysis())


def empty_case_page(_folder: Path) -> str:
    """Neither lungs nor findings: most numbers are absent."""
    return render_report(make_analysis(make_arrays(lungs=(), opacity=False, localization=False)))


def evaluation_page(folder: Path) -> str:
    """Masks of volumes, slices and photographs, judged by a stand-in."""
    sys.path += [str(HERE / "training"), str(HERE / "evaluation")]
    from stand_ins import make_judge, write_judged_folder

    from CovidCTLib.evaluation.evaluate import evaluate
    from CovidCTLib.evaluation.page import render_page
    from CovidCTLib.labelled_data.layout import find_cases

    judge = make_judge("opacities", {"patients": ["case_0"], "cases": ["case_0"]})
    return render_page(evaluate("opacities", find_cases(write_judged_folder(folder / "data")), [judge]))


def follow_up_page(_folder: Path) -> str:
    """Two studies, the opacity gone in the later one; not laid on each other, which takes long."""
    from CovidCTLib.followup import Study, follow_up
    from CovidCTLib.followup.page import render_follow_up

    studies = [
        Study(make_analysis(make_arrays(opacity=ill, localization=ill)), date(2020, 3, day))
        for ill, day in ((True, 1), (False, 11))
    ]
    return render_follow_up(follow_up(studies, register=False))


def cohort_page(folder: Path) -> str:
    """Twelve scans of two classes and one that failed; one is far from the others."""
    from CovidCTLib.cohort.rows import ROWS_FOLDER, SUMMARY_PAGE, CohortRow, write_row
    from CovidCTLib.cohort.summary import write_summary

    out = folder / "cohort"
    (out / ROWS_FOLDER).mkdir(parents=True)
    for number in range(12):
        ratio = 60.0 if number == 9 else 5.0 + number % 5
        values = {"vessel_ratio_percent": ratio, "lung_area_mm2": 20000.0, "slice_index": 7, "slice_count": 40}
        write_row(out, CohortRow(id=f"scan-{number:03d}", class_name=f"CT-{number % 2}", measures="fast", **values))
    write_row(out, CohortRow(id="scan-012", class_name="CT-1", status="failed", reason="No lungs in view. Check."))
    write_summary(out)
    return (out / SUMMARY_PAGE).read_text(encoding="utf-8")


def comparison_page(folder: Path) -> str:
    """A slice of the phantom beside itself."""
    from CovidCTLib.comparison import compare_slices, take_slice
    from CovidCTLib.comparison.output import PAGE_FILE, write_comparison
    from CovidCTLib.phantom import make_chest_phantom

    phantom = make_chest_phantom((40, 96, 96), (6.5, 3.1, 3.1), noise_hu=5.0)
    entry = take_slice(phantom.scan, lungs=phantom.lungs)
    write_comparison(compare_slices(entry, entry), folder / "comparison")
    return (folder / "comparison" / PAGE_FILE).read_text(encoding="utf-8")


def explanation_page(folder: Path) -> str:
    """One slice whose opacity a stand-in looks at."""
    sys.path.append(str(HERE / "explanation"))
    from explained_slices import SLICE, models_that_look_at_the_opacity

    from CovidCTLib.explanation import explain_slices, write_explanation

    analysis = make_analysis()
    models = models_that_look_at_the_opacity(analysis)
    write_explanation(explain_slices(analysis, [SLICE], samples=60, models=models), folder / "why")
    return (folder / "why" / "explanation.html").read_text(encoding="utf-8")


PAGES: dict[str, Callable[[Path], str]] = {
    "case": case_page,
    "case without lungs": empty_case_page,
    "evaluation": evaluation_page,
    "follow-up": follow_up_page,
    "cohort": cohort_page,
    "comparison": comparison_page,
    "explanation": explanation_page,
}
