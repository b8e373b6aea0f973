"""``covidct train``: from a training folder to weights with their card."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import CovidCTLib
from CovidCTLib.labelled_data.arguments import add_data_arguments, read_folder

if TYPE_CHECKING:
    import torch

    from CovidCTLib.labelled_data.layout import TrainingFolder
    from CovidCTLib.training.slices import LungFinder
    from CovidCTLib.training.tasks import Task

_EXAMPLE = """\
The training folder holds, in any subfolder:
  NAME_ct.nii.gz with one or more of NAME_lungs.nii.gz (1 lung, 255 not labelled), NAME_opacities.nii.gz (1 GGO,
    2 consolidation) or NAME_infection.nii.gz (1, kind not told), NAME_effusion.nii.gz (1 pleural effusion)
  NAME_ct.nii.gz or a DICOM folder NAME/ with a table NAME_slices.csv of abnormal (1) and normal (0) slices
  FOLDER/images/*.png and FOLDER/labels/*.png, single slices; with FOLDER/slices.csv they are calibrated
    or, with the columns slice and patient alone, photographs of named patients
  *.npz with image_hu, lungs and slice_id
A CT whose name begins with 'normal' is known to be without disease, one that begins with 'cancer', 'effusion', 'other'
or 'cap' (pneumonia) to be without COVID-19.
docs/training.md shows an example of each kind: label values, columns of tables, orientation, patients.

example:
  covidct train lungs DATA -o runs/lungs
"""


_CANCELLED = (
    "Cancelled. What was learned up to the last checkpoint is kept: the same command goes on from there; with another "
    "-o it begins anew."
)


def add_parser(subparsers: Any) -> None:
    """Add ``train`` to the command line's subparsers."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "train",
        help="train a network on your own CTs with masks",
        description="Train the lung network, the opacity network or the slice classifier.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("what", choices=("lungs", "opacities", "slices"), help="what to train")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="RUN", help="folder of the run; continued if it exists"
    )
    parser.add_argument("--steps", type=int, default=1500, help="optimizer steps (default %(default)s)")
    parser.add_argument("--batch", type=int, default=16, help="slices a step (default %(default)s)")
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="highest learning rate (default %(default)s)")
    parser.add_argument(
        "--judge-every",
        type=int,
        default=150,
        help="steps between validations; after eight without a better score the training ends (default %(default)s)",
    )
    parser.add_argument("--folds", type=int, default=5, help="number of patient-wise folds (default %(default)s)")
    parser.add_argument(
        "--fold",
        type=_fold,
        default=0,
        metavar="N",
        help="fold held out for validation, from 0, or 'none': train on all patients and take the last weights "
        "(default %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and samples (default %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes that augment (default %(default)s)")
    parser.add_argument(
        "--architecture",
        choices=("windows-unet", "unet", "efficientnet-unet", "resnet50-half", "resnet50", "efficientnet"),
        help="network to train: windows-unet (default) or unet, which finds no effusion, for lungs; efficientnet-unet "
        "(default) or unet for opacities; resnet50-half (default), resnet50 or efficientnet for slices",
    )
    parser.add_argument(
        "--init",
        type=Path,
        metavar="WEIGHTS",
        help="weights to start from: a state dict, alone or in the file of a training program. Those of other programs "
        "fit by name and shape: MONAI's 2D UNet of one channel, 16 to 256 wide, with two residual units and batch norm "
        "(unet); EfficientNet-Lite0 by the names of efficientnet_pytorch or MONAI (efficientnet, efficientnet-unet); "
        "2D ResNet-50 by the names of torchvision or MONAI (resnet50). What fits is said at the start",
    )
    parser.add_argument(
        "--freeze",
        type=int,
        default=0,
        metavar="N",
        help="with --init: the first N stages of an EfficientNet (seven) or ResNet (three) keep the given weights, "
        "as an EfficientNet's first convolution always does (default %(default)s)",
    )
    parser.add_argument(
        "--thick-slices",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of the slices of CTs that become up to twice as thick in training, for use on thicker slices than "
        "those at hand, in [0, 1] (default %(default)s, as it cost accuracy on slices of 4 to 6 mm)",
    )
    parser.add_argument(
        "--bits",
        type=int,
        choices=(8, 16),
        default=8,
        help="bits of a weight that is written: 8 with a scale for each channel, or 16, half precision "
        "(default %(default)s)",
    )
    for name, what in (
        ("slice", "probability from which a slice counts as abnormal"),
        ("case", "share of such slices"),
    ):
        parser.add_argument(
            f"--{name}-threshold",
            type=float,
            metavar="X",
            help=f"for the card of a slice classifier: {what}, in (0, 1), as a cross-validation gave it",
        )
    parser.add_argument(
        "--models", type=Path, metavar="FOLDER", help="folder of models whose lung network frames the lungs"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default %(default)s)")
    add_data_arguments(parser)
    parser.add_argument(
        "--sources",
        default="not stated",
        metavar="TEXT",
        help="where the data come from and what their licences allow, for the model card (default: %(default)s)",
    )
    parser.add_argument(
        "--licence",
        default="not stated",
        metavar="TEXT",
        help="licence of the weights, for the model card (default: %(default)s)",
    )
    parser.set_defaults(run=run, cancelled=_CANCELLED)


def run(arguments: argparse.Namespace) -> int:
    """Carry out ``covidct train``."""
    from CovidCTLib.training.architectures import with_architecture
    from CovidCTLib.training.run_folder import RunFolder
    from CovidCTLib.training.tasks import TASKS

    _check_numbers(arguments)
    task = with_architecture(TASKS[arguments.what], arguments.architecture)
    with RunFolder(arguments.output) as run_folder:
        run_folder.check_unfinished(task.name)
        return _train(arguments, task, run_folder.say)


def _train(arguments: argparse.Namespace, task: Task, say: Callable[[str], None]) -> int:
    """Train a network and write it with its card."""
    from dataclasses import asdict

    from CovidCTLib.labelled_data.pictures import groups_notice
    from CovidCTLib.models.device import choose_device
    from CovidCTLib.models.weights import save_network
    from CovidCTLib.training.loop import TrainingOptions, train
    from CovidCTLib.training.run_card import card_of, command_line, count, thresholds_of
    from CovidCTLib.training.slices import load_slices
    from CovidCTLib.training.splits import validation_mask
    from CovidCTLib.training.sufficiency import check_sides, check_usable

    device = choose_device(arguments.device)
    initial = _initial(arguments, task)
    folder = read_folder(arguments)
    find_lungs, lungs_from = (None, "") if task.framing == "body" else _lung_finder(arguments.models)
    slices = load_slices(folder, task.framing, find_lungs, arguments.output / "cache", lungs_from, say, task.side)
    slices = slices.only(task.usable(slices))
    check_usable(task.name, slices)
    training, validation = slices, None
    if arguments.fold is not None:
        held_out = validation_mask(slices, arguments.fold, arguments.folds)
        training, validation = slices.only(~held_out), slices.only(held_out)
    check_sides(task.name, training, validation)
    say(f"{count(training)} to train on, {count(validation) if validation else 'none'} held out")
    options = TrainingOptions(
        steps=arguments.steps,
        batch=arguments.batch,
        learning_rate=arguments.learning_rate,
        judge_every=arguments.judge_every,
        seed=arguments.seed,
        workers=arguments.workers,
        device=str(device),
        freeze=arguments.freeze,
        thick_slices=arguments.thick_slices,
    )
    framed = {"lungs_from": lungs_from} if lungs_from and _has_volumes_without_lungs(folder) else {}
    facts = {"--fold": _fold_in_words(arguments), "the lung network that frames": framed.get("lungs_from")}
    trained = train(task, training, validation, arguments.output, options, initial, say, facts)
    groups = groups_notice(case for case in folder.cases if case.name in set(slices.case.tolist()))
    made = {
        "sources": arguments.sources,
        **({"remark": groups} if groups else {}),
        "command": command_line(arguments),
        **framed,
        **{name: value for name, value in asdict(options).items() if name != "device"},
        "best_step": trained.step,
        **({"steps_done": trained.steps_done} if trained.steps_done < options.steps else {}),
    }
    thresholds, chosen = thresholds_of(task, trained.figures, arguments)
    made |= {"thresholds": chosen} if chosen else {}
    card = card_of(task, training, validation, trained.figures, made, arguments.licence, thresholds)
    save_network(trained.network, card, arguments.output, arguments.bits)
    say(f"Weights and card are in {arguments.output}")
    return 0


def _initial(arguments: argparse.Namespace, task: Task) -> dict[str, torch.Tensor] | None:
    """Read the weights to start from, and see that they fit, before the data are read for many minutes."""
    from CovidCTLib.models.networks import build_network
    from CovidCTLib.training.initial import read_initial, start_from

    if not arguments.init:
        return None
    initial = read_initial(arguments.init)
    start_from(build_network(task.architecture), initial, arguments.freeze)
    return initial


def _fold_in_words(arguments: argparse.Namespace) -> str:
    """Which fold is held out."""
    return "none" if arguments.fold is None else f"{arguments.fold} of {arguments.folds}"


def _has_volumes_without_lungs(folder: TrainingFolder) -> bool:
    """Whether a lung network has to frame any case."""
    return any(case.kind == "volume" and case.lungs is None for case in folder.cases)


_HIGHEST_SEED = 2**63 - 1
"""What the random numbers of torch take."""

_LEAST = {"steps": 1, "batch": 2, "judge_every": 1, "folds": 2, "workers": 0, "freeze": 0}
"""Smallest value of each number."""


def _check_numbers(arguments: argparse.Namespace) -> None:
    """Refuse numbers that no training can use."""
    from CovidCTLib.errors import OptionsError

    for name, least in _LEAST.items():
        number = getattr(arguments, name)
        if number < least:
            raise OptionsError(f"--{name.replace('_', '-')} must be at least {least}, but is {number}. Correct it.")
    if not 0 <= arguments.seed <= _HIGHEST_SEED:
        raise OptionsError(f"--seed must lie within 0 and {_HIGHEST_SEED}, but is {arguments.seed}. Correct it.")
    if arguments.fold is not None and not 0 <= arguments.fold < arguments.folds:
        raise OptionsError(
            f"--fold must lie within 0 and {arguments.folds - 1}, as there are {arguments.folds} --folds, or be "
            f"'none', but is {arguments.fold}. Correct it."
        )
    if not 0 < arguments.learning_rate < math.inf:
        raise OptionsError(f"--learning-rate must be a positive number, but is {arguments.learning_rate}. Correct it.")
    if not 0 <= arguments.thick_slices <= 1:
        raise OptionsError(f"--thick-slices must lie within 0 and 1, but is {arguments.thick_slices}. Correct it.")
    for name in ("slice_threshold", "case_threshold"):
        value = getattr(arguments, name)
        if value is not None and not 0 < value < 1:
            raise OptionsError(f"--{name.replace('_', '-')} must lie between 0 and 1, but is {value}. Correct it.")
        if value is not None and arguments.what != "slices":
            raise OptionsError(f"--{name.replace('_', '-')} is for covidct train slices only. Leave it out.")
    if arguments.freeze and not arguments.init:
        raise OptionsError("--freeze keeps given weights: give them by --init, or leave --freeze out.")


def _fold(text: str) -> int | None:
    """Read the number of a fold, or ``none``."""
    if text == "none":
        return None
    try:
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"the number of a fold or 'none' was expected, not {text!r}") from error


def _lung_finder(models: Path | None) -> tuple[LungFinder, str]:
    """Find lungs by the lung network, for volumes without lung masks; and the checksum of its weights."""
    from CovidCTLib.errors import ModelError
    from CovidCTLib.geometry import CanonicalGrid
    from CovidCTLib.hu import LOWEST_HU
    from CovidCTLib.lungs.network import segment_chest_by_network
    from CovidCTLib.models.store import ModelStore

    network = ModelStore(models).lungs()
    if models is not None and not network.own:
        raise ModelError(
            f"--models must name a folder with a lung network, but {models.resolve().name!r} has none. Give the "
            "folder of a run of covidct train lungs, or leave it out to take the shipped lung network."
        )

    def find(scan: CovidCTLib.Scan) -> Any:
        grid = CanonicalGrid(scan.geometry)
        return segment_chest_by_network(grid.take(scan.hu, LOWEST_HU), grid.geometry.spacing_zyx_mm, network).lungs

    return find, network.card.sha256
