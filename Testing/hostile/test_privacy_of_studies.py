"""Patient data in explain, compare, followup, report and cohort: marked, and looked for in everything."""

from __future__ import annotations

import shutil

import broken_files as broken
import numpy as np
import pytest
from analyzers_of_marks import ANALYZER
from mark_search import SECRETS, WRITTEN_DATES, assert_clean, insides, leaks
from marked_files import BIRTH, MARK, NUMBER, STUDY, TYPED, marked_nifti, marked_series

from CovidCTLib.cohort.manifest import read_manifest
from CovidCTLib.cohort.rows import read_rows
from CovidCTLib.errors import CovidCTError

OTHERS = tuple(secret for secret in SECRETS if secret != WRITTEN_DATES[1])
"""All marks but the date of the study."""


@pytest.fixture
def classifier(monkeypatch):
    """Put a classifier that looks at the opacity in place of the slice network."""
    from analysis_maker import make_analysis
    from explained_slices import models_that_look_at

    import CovidCTLib.models.store as store

    made = make_analysis()
    models = models_that_look_at(made, *(made.axial.opacities[4] > 0).nonzero())
    monkeypatch.setattr(store, "ModelStore", lambda *_, **__: models)


@pytest.mark.parametrize("options", [(), ("--debug", "--progress", "json")])
def test_an_explanation_of_marked_dicom_tells_nothing(program, classifier, series, tmp_path, options):
    done = program("explain", series[0], "-o", tmp_path / "out", "--slices", "4", "--samples", "50", *options)
    assert done.code == 0, done.err
    assert {"explanation.html", "explanation.json", "slice_0004.png"} <= {p.name for p in (tmp_path / "out").iterdir()}
    assert_clean(tmp_path / "out")
    assert TYPED not in done.out


def test_a_comparison_of_marked_scans_tells_nothing(program, tmp_path):
    blocks = np.random.default_rng(0).integers(-1000, 300, (4, 8, 8)).repeat(8, axis=1).repeat(8, axis=2)
    marked_series(tmp_path / TYPED, blocks)
    other = marked_nifti(tmp_path / f"{TYPED}.nii.gz", blocks.astype(np.int16))
    done = program("compare", tmp_path / TYPED, other, "-o", tmp_path / "out", "--slices", "1", "2")
    assert done.code == 0, done.err
    assert_clean(tmp_path / "out")
    assert TYPED not in done.out


@pytest.fixture
def later(series, tmp_path):
    """The same study in another folder, of another patient."""
    from dicom_maker import edit

    folder = tmp_path / f"{TYPED}2"
    shutil.copytree(series[0], folder)
    for path in folder.rglob("*.dcm"):
        edit(path, PatientID=f"{MARK}other")
    return folder


def test_a_follow_up_of_marked_studies_tells_only_the_typed_dates(program, series, later, tmp_path):
    words = ("followup", series[0], later, "-o", tmp_path / "out", "--dates", "2020-01-02", "2020-02-03")
    done = program(*words, "--debug")
    assert done.code == 0, done.err
    assert "2 different patient numbers" in done.err
    assert_clean(tmp_path / "out")
    assert TYPED not in done.out


def test_a_follow_up_tells_the_date_of_a_study_and_nothing_else(program, series, later, tmp_path):
    broken_study = tmp_path / f"{TYPED}3"
    shutil.copytree(series[0], broken_study)
    for path in broken_study.rglob("*.dcm"):
        broken.cut(path, 3000)
    words = ("followup", series[0], later, broken_study, "-o", tmp_path / "out", "--no-registration")
    done = program(*words, secrets=OTHERS)
    assert done.code == 0, done.err
    assert "Study 3 was left out" in done.err
    assert_clean(tmp_path / "out", (*OTHERS, TYPED))
    assert WRITTEN_DATES[1] in (tmp_path / "out" / "followup.html").read_text(encoding="utf-8")


def test_stored_identifiers_are_not_passed_on_by_a_follow_up(program, series, tmp_path):
    old = tmp_path / "old"
    assert program("analyze", series[0], "-o", old, "--with-identifiers", "--no-report").code == 0
    assert leaks((old / "analysis.json").read_text(encoding="utf-8"))
    shutil.copytree(old, tmp_path / "copy")
    done = program("followup", old, tmp_path / "copy", "-o", "out", "--dates", "2020-01-02", "2020-02-03")
    assert done.code == 0, done.err
    assert_clean(tmp_path / "out")


def test_a_report_with_the_marked_ct_tells_nothing(program, series, tmp_path):
    old = tmp_path / "old"
    assert program("analyze", series[0], "-o", old, "--no-report").code == 0
    done = program("report", old, "--ct", series[0])
    assert done.code == 0, done.err
    assert_clean(old)


@pytest.fixture
def source(series, tmp_path):
    """A folder of scans, named after patients: good DICOM, DICOM that is cut off, and a volume file."""
    home = tmp_path / TYPED
    shutil.copytree(series[0], home / "dicom")
    shutil.copytree(series[0], home / f"{MARK}90200 Cut")
    for path in (home / f"{MARK}90200 Cut").rglob("*.dcm"):
        broken.cut(path, 3000)
    marked_nifti(home / f"{MARK}90300 Doe.nii.gz")
    return home


@pytest.mark.parametrize("options", [("--debug",), ("--progress", "json", "--no-report")])
def test_a_batch_of_marked_scans_names_them_in_its_table_alone(program, source, tmp_path, options):
    out = tmp_path / "out"
    done = program("batch", source, "-o", out, *options)
    assert done.code == 1, done.err
    assert len(list(out.glob("case_*"))) == 2
    assert TYPED not in done.out + done.err.replace(str(out), "")
    assert leaks((out / "cases.csv").read_bytes()) == {MARK}
    (out / "cases.csv").unlink()
    assert_clean(out)


def _holds(out, done):
    """Hold a finished cohort against the marks, one scan of which failed."""
    assert done.code == 0, done.err
    rows = list(read_rows(out))
    assert sorted(row.status for row in rows) == ["failed", "ok", "ok"]
    for row in rows:
        assert not leaks(repr(row), (*SECRETS, TYPED))
    assert TYPED not in done.out.replace(str(out), "")
    assert {"cohort.html", "cohort.csv", "cohort.parquet"} <= {path.name for path in out.iterdir()}
    assert_clean(out)


def test_a_cohort_of_marked_scans_tells_nothing(program, source, tmp_path):
    out = tmp_path / "out"
    words = ("cohort", source, "-o", out, "--analyzer", ANALYZER, "--processes", "1", "--debug")
    _holds(out, program(*words))
    _holds(out, program("cohort", "summary", out))


def test_a_manifest_gives_class_and_date_and_makes_patients_pseudonyms(program, source, tmp_path):
    scans = [source / "dicom", source / f"{MARK}90200 Cut", source / f"{MARK}90300 Doe.nii.gz"]
    rows = [f'"{path}",{MARK} {NUMBER},CT-{place}' for place, path in enumerate(scans)]
    (tmp_path / "list.csv").write_text("\n".join(["path,patient,class", *rows]), encoding="utf-8")
    out = tmp_path / "out"
    words = ("cohort", tmp_path / "list.csv", "-o", out, "--analyzer", ANALYZER, "--processes", "1", "--no-report")
    _holds(out, program(*words, "--progress", "json"))
    assert len({row.patient for row in read_rows(out)}) == 1
    assert read_rows(out)[0].patient.startswith("p")


@pytest.mark.parametrize(
    "text",
    [
        f"path,id\nx.nii.gz,../{MARK}\n",
        f"path,date\nx.nii.gz,{MARK}\n",
        f'path,class\nx.nii.gz,"{MARK}\n{MARK}"\n',
        f'path\n"{MARK}\n{MARK}.nii.gz"\n',
        f"path\n{MARK}.nii.gz\n",
        f"path,patient\n{MARK}.nii.gz,{NUMBER}\n{MARK}.nii.gz,{NUMBER}\n",
        f"path,id\na.nii.gz,{MARK}\nb.nii.gz,{MARK}\n",
        f"{MARK},{STUDY}\n{BIRTH},x\n",
    ],
)
def test_no_complaint_about_a_manifest_quotes_it(program, tmp_path, text):
    path = tmp_path / "list.csv"
    path.write_text(text, encoding="utf-8")
    done = program("cohort", path, "-o", "out", "--measures", "fast")
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
    try:
        read_manifest(str(path))
    except CovidCTError as error:
        caught = error
        while caught is not None:
            assert not leaks(str(caught))
            caught = caught.__cause__ or (None if caught.__suppress_context__ else caught.__context__)


def test_the_search_looks_into_parquet(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"a": [f"{MARK}{number}" for number in range(50)]})
    pq.write_table(table, tmp_path / "a.parquet", compression="zstd")
    assert any(leaks(inside) for inside in list(insides((tmp_path / "a.parquet").read_bytes()))[1:])
