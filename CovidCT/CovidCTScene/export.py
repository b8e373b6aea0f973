"""Results out of the scene: the analysis put together again from its nodes, and written as the terminal writes it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from CovidCTLib.analysis import Analysis
from CovidCTScene.snapshot import Snapshot


def analysisFromScene(scene: Any, volumeNode: Any) -> Analysis:
    """Put the analysis of a CT together from the nodes of the scene, all at once, for scripts.

    Parameters
    ----------
    scene
        The scene.
    volumeNode
        The CT.

    Returns
    -------
    Analysis
        As `Snapshot.analysis`.

    Raises
    ------
    InputError
        As `Snapshot` and its methods.
    """
    snapshot = Snapshot(scene, volumeNode)
    for _share in snapshot.steps():
        continue
    return snapshot.analysis()


def exportResults(
    scene: Any, volumeNode: Any, folder: str | os.PathLike[str], *, report: bool = True
) -> tuple[Path, ...]:
    """Write the results of a CT in the scene as ``covidct analyze`` writes them; all files appear, or none.

    Parameters
    ----------
    scene
        The scene.
    volumeNode
        The CT.
    folder
        A path that does not exist yet, or an empty folder.
    report
        Whether ``report.html`` is made too.

    Returns
    -------
    tuple of Path
        The files, in the order of their names.

    Raises
    ------
    InputError
        As `analysisFromScene`.
    OutputError
        If the folder is not empty, is a file, cannot be written to, or the disk is full.
    """
    from CovidCTLib.results import check_output_folder, write_results

    check_output_folder(folder)
    return write_results(analysisFromScene(scene, volumeNode), folder, report=report)
