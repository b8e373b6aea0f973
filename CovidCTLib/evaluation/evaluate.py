"""The evaluation itself: which cases serve a task, who judges them, and what comes out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from CovidCTLib.errors import CovidCTError, TrainingDataError
from CovidCTLib.evaluation.decision_figures import Curves, case_figures, case_notice, slice_figures
from CovidCTLib.evaluation.decisions import SliceCalls, call_case, call_slices
from CovidCTLib.evaluation.examples import Example, WorstExamples
from CovidCTLib.evaluation.figures import NO_LUNGS, SEEN_REASON, TWIN_REASON, Figure, Row, TaskName, judged
from CovidCTLib.evaluation.judges import Judge, choose_judge, has_seen
from CovidCTLib.evaluation.masks import (
    NO_EFFUSION,
    NORMAL_CONTROL,
    OTHER_DISEASE,
    VOLUMES,
    effusion_group_of,
    effusion_notices,
    group_of,
    lung_group_of,
    mask_figures,
    measure_image,
    number_in,
)
from CovidCTLib.evaluation.metrics import Overlap
from CovidCTLib.labelled_data.labelled import LabelledImage, image_readers, patients_of
from CovidCTLib.labelled_data.layout import Kind, TrainingCase, TrainingFolder, says_other_disease
from CovidCTLib.labelled_data.pictures import groups_notice
from CovidCTLib.models.card import count_of
from CovidCTLib.training.slice_checksums import known_checksums, slice_checksums

_NEEDED: dict[TaskName, str] = {
    "lungs": "volumes with lung masks, calibrated pictures or slice archives",
    "effusion": "volumes with effusion masks, or CTs whose name begins with 'normal' or that --no-effusion names",
    "opacities": "volumes with opacity or infection masks, pictures with labels, or CTs whose name begins with "
    "'normal'",
    "slices": "volumes with opacity or infection masks or a table of slices, or CTs whose name begins with 'normal'",
    "cases": "volumes with opacity or infection masks or a table of slices, or CTs whose name says that they show no "
    "COVID-19",
}

_NAMED = 5
"""Failed rows that a notice names."""

SLICES_NOTICE = (
    "A model counts as having seen a patient by the names and the checksums of slices in its card: a case that was "
    "trained on under another name and with other pixels, such as resampled ones, counts as unseen here."
)

NAMES_NOTICE = (
    "A model counts as having seen a patient by the names alone where its card has no checksums of slices ({models}): "
    "a case that was trained on under another name counts as unseen there."
)

KINDS_NOTICE = (
    "A network does not tell ground-glass opacity from consolidation; these are not judged where it took part."
)

SPACING_NOTICE = (
    "Surface distances and volumes in ml are as true as the spacing in the files; where that is nominal, compare them "
    "with each other only."
)


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Parameters
    ----------
    task
        What was judged.
    judges
        The models under judgement.
    rows
        A row a case, or a slice where cases hold single slices; in the order of their names.
    figures
        Means, rates and areas.
    curves
        What the plots show.
    notices
        Plain sentences that a reader must know.
    worst
        Worst examples by group.
    seconds
        How long it took.
    """

    task: TaskName
    judges: tuple[Judge, ...]
    rows: tuple[Row, ...]
    figures: tuple[Figure, ...]
    curves: Curves
    notices: tuple[str, ...]
    worst: dict[str, tuple[Example, ...]]
    seconds: float


def serves(case: TrainingCase, task: TaskName) -> bool:
    """Whether a case holds the truth that a task is judged by."""
    if task == "lungs":
        return case.kind != "photographs" and (case.kind != "volume" or case.lungs is not None)
    if task == "effusion":
        return case.kind == "volume" and (case.effusion is not None or case.all_normal or case.no_effusion)
    painted = case.opacities is not None or case.infection is not None or case.all_normal
    if task == "opacities":
        if case.kind == "volume":
            return painted or (says_other_disease(case.name) and case.lungs is not None)
        return case.kind != "slice archive"
    other = task == "cases" and case.not_covid
    return case.kind == "volume" and (painted or case.slice_table is not None or other)


def evaluate(
    task: TaskName,
    folder: TrainingFolder,
    judges: Sequence[Judge],
    report: Callable[[str], None] = lambda _: None,
) -> Evaluation:
    """Judge models on all cases of a folder that serve a task.

    Parameters
    ----------
    task
        ``"lungs"``, ``"effusion"``, ``"opacities"``, ``"slices"`` or ``"cases"``.
    folder
        What `CovidCTLib.labelled_data.layout.find_cases` found.
    judges
        What `CovidCTLib.evaluation.judges.load_judges` opened: models for ``"opacities"``, ``"lungs"`` also for
        ``"effusion"``, and ``"slices"`` also for ``"cases"``.
    report
        Takes one line a case.

    Raises
    ------
    TrainingDataError
        If no case serves the task, all patients were seen by all models in training, or no case could be judged.

    Notes
    -----
    A case that cannot be read or predicted becomes a row with the reason; the others go on.
    """
    begun = time.monotonic()
    cases = [case for case in folder.cases if serves(case, task)]
    if not cases:
        raise TrainingDataError(
            f"None of the {count_of(len(folder.cases), 'cases')} in the folder can be used to judge {task}. Expected "
            f"{_NEEDED[task]}."
        )
    _check_unseen(task, cases, judges, folder)
    run = _Run(task, folder, tuple(judges))
    for case in cases:
        before = len(run.rows)
        run.take(case)
        done = run.rows[before:]
        failed = [row for row in done if row.status == "failed"]
        note = f", {len(failed)} failed: {failed[0].reason}" if failed else ""
        report(f"{case.name}: {count_of(len(done), 'rows')}{note}")
    if not judged(run.rows):
        reason = next((row.reason for row in run.rows if row.status in ("failed", "listed apart")), None)
        if reason is None:
            evidence = "by the checksums of their slices"
            raise _all_seen(task, len({row.patient for row in run.rows}), judges, evidence)
        raise TrainingDataError(f"None of the cases could be judged for {task}. The first one: {reason}")
    figures, curves = run.sum_up()
    return Evaluation(
        task, tuple(judges), tuple(run.rows), tuple(figures), curves, run.notices(), run.worst.groups(),
        time.monotonic() - begun,
    )  # fmt: skip


def _check_unseen(
    task: TaskName, cases: Sequence[TrainingCase], judges: Sequence[Judge], folder: TrainingFolder
) -> None:
    """Refuse data of which every patient was trained on, before hours of work."""
    count, first = 0, ""
    for case in cases:
        try:
            patients = patients_of(case)
        except CovidCTError:
            # Its turn comes, and with it its row.
            continue
        count += len(patients)
        first = first or patients[0]
        if not all(choose_judge(judges, case, patient, folder)[1] for patient in patients):
            return
    if count:
        evidence = f"by their names in its card, such as {first!r}; rename cases that are others"
        raise _all_seen(task, count, judges, evidence)


def _all_seen(task: TaskName, count: int, judges: Sequence[Judge], evidence: str) -> TrainingDataError:
    """What is said where nobody is left to judge by."""
    return TrainingDataError(
        f"All {count_of(count, 'patients')} that could judge {task} were seen in training by "
        f"{'the model' if len(judges) == 1 else 'every model'}, so no figure would be honest (found {evidence}). Give "
        "other data, or the runs of a cross-validation with --models."
    )


class _Run:
    """Rows of one evaluation as they come in."""

    def __init__(self, task: TaskName, folder: TrainingFolder, judges: tuple[Judge, ...]) -> None:
        self.task = task
        self.folder = folder
        self.judges = judges
        self.rows: list[Row] = []
        self.overlaps: list[dict[str, Overlap]] = []
        self.calls: list[SliceCalls | None] = []
        self.kinds: dict[str, Kind] = {}
        self.worst = WorstExamples()
        self.flattered: set[str] = set()
        self.owners: dict[str, tuple[str, str]] = {}

    def take(self, case: TrainingCase) -> None:
        """Judge one case."""
        groups = {"lungs": lung_group_of, "effusion": effusion_group_of}
        group = groups.get(self.task, group_of)(case)
        self.kinds.setdefault(group, case.kind)
        try:
            for name, read in image_readers(case):
                try:
                    image = read()
                except CovidCTError as error:
                    self._add(Row(case.name, name, group, case.patient, "failed", "", str(error)))
                else:
                    self._judge(case, image, group)
        except CovidCTError as error:
            self._add(Row(case.name, "", group, case.patient, "failed", "", str(error)))

    def _judge(self, case: TrainingCase, image: LabelledImage, group: str) -> None:
        """Judge one image."""
        checksums = slice_checksums(image.hu)
        judge, seen = choose_judge(self.judges, case, image.patient, self.folder, checksums)
        name = "" if case.kind == "volume" else image.name
        row = Row(case.name, name, group, image.patient, "judged", judge.label)
        twin = self._twin(case, image.patient, checksums)
        if seen:
            row = replace(row, status="seen in training", reason=SEEN_REASON)
        elif twin:
            row = replace(row, status="listed apart", reason=TWIN_REASON.format(case=twin))
        try:
            self._measure(row, case, image, judge, checksums)
        except CovidCTError as error:
            self._add(replace(row, status="failed", reason=str(error)))

    def _twin(self, case: TrainingCase, patient: str, checksums: Sequence[str]) -> str:
        """The case of another patient in which one of these slices stood before; empty if there is none."""
        twin = ""
        for checksum in known_checksums(checksums):
            first = self.owners.setdefault(checksum, (patient, case.name))
            twin = first[1] if first[0] != patient else twin
        return twin

    def _measure(
        self, row: Row, case: TrainingCase, image: LabelledImage, judge: Judge, checksums: Sequence[str]
    ) -> None:
        """Predict one image and add its row."""
        if self.task in ("lungs", "effusion", "opacities"):
            measured = measure_image(self.task, image, case, judge.store)
            row = replace(row, values=measured.values, undefined=measured.undefined)
            self._add(row, overlaps=measured.overlaps)
            examples = [measured.example] if measured.example else []
        else:
            decided = (
                call_slices(image, case, judge.store) if self.task == "slices" else call_case(image, case, judge.store)
            )
            row = replace(row, values=decided.values, undefined=decided.undefined)
            if row.status == "judged" or decided.status == "failed":
                row = replace(row, status=decided.status, reason=decided.reason)
            self._add(row, calls=decided.calls)
            examples = list(decided.examples)
        if row.status != "judged":
            return
        for example in examples:
            self.worst.add(row.group, example)
        if self.task not in ("lungs", "effusion") and case.kind != "photographs":
            lungs = judge.store.card("lungs")
            if has_seen(lungs, case, image.patient, self.folder, checksums):
                self.flattered.add(image.patient)

    def _add(self, row: Row, overlaps: dict[str, Overlap] | None = None, calls: SliceCalls | None = None) -> None:
        self.rows.append(row)
        self.overlaps.append(overlaps or {})
        self.calls.append(calls)

    def sum_up(self) -> tuple[list[Figure], Curves]:
        """Figures and curves of all judged rows."""
        if self.task == "slices":
            return slice_figures(self.rows, self.calls)
        if self.task == "cases":
            return case_figures(self.rows)
        order = {VOLUMES: 0, NORMAL_CONTROL: 1, OTHER_DISEASE: 2, NO_EFFUSION: 2}
        kinds = dict(sorted(self.kinds.items(), key=lambda item: (order.get(item[0], 3), item[0])))
        return mask_figures(self.task, self.rows, self.overlaps, kinds), Curves()

    def notices(self) -> tuple[str, ...]:
        """What a reader of the figures must know."""
        notices = []
        if self.task == "cases":
            notices.append(case_notice(self.rows))
        elif self.task == "effusion":
            notices += effusion_notices(self.rows)
        by_status = {
            status: [row for row in self.rows if row.status == status]
            for status in ("seen in training", "failed", "listed apart")
        }
        seen = {row.patient for row in by_status["seen in training"]}
        if seen:
            notices.append(
                f"Seen in training by every given model: {count_of(len(seen), 'patients')}; they are listed, but count "
                "in no mean."
            )
        if by_status["failed"]:
            notices.append(
                f"Failed: {count_of(len(by_status['failed']), 'rows')} ({_some_names(by_status['failed'])}); they are "
                "listed with the reason, but count in no mean."
            )
        lungless = [row for row in judged(self.rows) if NO_LUNGS in row.undefined.values()]
        if lungless:
            notices.append(
                f"No lungs were found in {count_of(len(lungless), 'rows')} ({_some_names(lungless)}): an analysis "
                "would be refused. What is true there counts as missed."
            )
        if by_status["listed apart"]:
            apart = dict.fromkeys(f"{row.case} ({row.reason})" for row in by_status["listed apart"])
            names = ", ".join(apart)
            notices.append(f"Listed apart, and in no mean: {names}.")
        if self.task == "opacities" and not all(judge.card.tells_kinds for judge in self.judges):
            notices.append(KINDS_NOTICE)
        silent = [judge.label for judge in self.judges if not judge.knows_training]
        if silent:
            notices.append(
                f"The cards of {', '.join(silent)} do not say what the models were trained on: whether they saw these "
                "patients is not known."
            )
        limits = {limit for row in judged(self.rows) if (limit := number_in(row, "probability_threshold")) is not None}
        if len(limits) > 1:
            shown = " to ".join(f"{limit:.3g}" for limit in (min(limits), max(limits)))
            notices.append(f"Each model called slices at its own threshold ({shown}).")
        if any(judge.chose_its_step for judge in self.judges):
            notices.append(
                "The held-out patients of a training run chose its best step. They count as unseen here, so their "
                "figures are slightly optimistic."
            )
        if self.flattered:
            notices.append(
                f"The lung network that framed the lungs had seen {len(self.flattered)} of the judged patients in "
                "training; that may flatter the figures a little."
            )
        if any(judge.knows_slices for judge in self.judges):
            notices.append(SLICES_NOTICE)
        by_names = [judge.label for judge in self.judges if judge.knows_training and not judge.knows_slices]
        if by_names:
            notices.append(NAMES_NOTICE.format(models=", ".join(by_names)))
        groups = groups_notice(case for case in self.folder.cases if serves(case, self.task))
        if groups:
            notices.append(groups)
        if self.task in ("lungs", "effusion", "opacities") and "volume" in self.kinds.values():
            notices.append(SPACING_NOTICE)
        return tuple(notices)


def _some_names(rows: Sequence[Row]) -> str:
    """Name the first rows."""
    names = [f"{row.case} {row.image}".strip() for row in rows]
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
