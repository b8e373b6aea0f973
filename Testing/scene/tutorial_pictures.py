"""Draw the pictures of docs/tutorial.md: the module's own samples, analyzed by its own networks, in MRML's own views.

Run it by hand where views or networks changed: ``python Testing/scene/tutorial_pictures.py docs/pictures WORK``. The
folder WORK keeps the analyses, so that a second run takes seconds.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import slicer
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "CovidCT"), str(Path(__file__).resolve().parent)]

from CovidCTScene import (  # noqa: E402
    addAnalysisToScene,
    addFollowUpToScene,
    addSampleCourse,
    resultNodesOf,
    scanFromVolumeNode,
    show3D,
    showAnalysis,
    studiesOfPatient,
)
from scene_maker import SceneWithLogics  # noqa: E402
from scene_views import SliceView, ThreeDView, chart_pixels  # noqa: E402

from CovidCTLib import Options, analyze, write_results  # noqa: E402
from CovidCTLib.results.reading import read_analysis  # noqa: E402

VIEW_PX = 368
GAP_PX = 4


def analyzed(scan, folder):
    """Analyze a scan, or read what an earlier run found."""
    if not folder.exists():
        write_results(analyze(scan, Options(device="cpu")), folder, report=False)
    return read_analysis(folder, scan)


def middle_of_opacity(analysis):
    """RAS in mm of the voxel that lies deepest in an opacity."""
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(analysis.axial.opacities > 0, analysis.axial.geometry.spacing_zyx_mm)
    z, y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return [float(value) for value in (analysis.axial.geometry.ijk_to_ras @ (x, y, z, 1))[:3]]


def four_up(logics, volume, nodes, place):
    """Axial, 3D, coronal and sagittal view, as in Slicer's four-up layout."""
    size = (VIEW_PX, VIEW_PX)
    views = [SliceView(logics, name, name, size) for name in ("Axial", "Coronal", "Sagittal")]
    showAnalysis(logics.scene, volume, nodes)
    for view in views:
        view.fit()
    slicer.vtkMRMLSliceNode.JumpAllSlices(logics.scene, *place, slicer.vtkMRMLSliceNode.OffsetJumpSlice, -1, None)
    show3D(logics.scene, nodes)
    space = ThreeDView(logics, size)
    space.fit()
    axial, coronal, sagittal = (view.pixels() for view in views)
    gap = np.full((VIEW_PX, GAP_PX, 3), 255, np.uint8)
    rows = [np.hstack([axial, gap, space.pixels()]), np.hstack([coronal, gap, sagittal])]
    drawn = np.vstack([rows[0], np.full((GAP_PX, rows[0].shape[1], 3), 255, np.uint8), rows[1]])
    for view in (*views, space):
        view.close()
    return drawn


def main(pictures, work):
    """Draw everything."""
    logics = SceneWithLogics(colours=True)
    volumes = addSampleCourse(logics.scene)
    analyses = []
    for number, volume in enumerate(volumes):
        analyses.append(analyzed(scanFromVolumeNode(volume), work / f"study-{number}"))
        addAnalysisToScene(logics.scene, volume, analyses[-1])
    nodes = resultNodesOf(logics.scene, volumes[0])
    followUp, _told = addFollowUpToScene(logics.scene, studiesOfPatient(logics.scene, volumes[0]))
    drawn = {
        "views": four_up(logics, volumes[0], nodes, middle_of_opacity(analyses[0])),
        "slice-chart": chart_pixels(nodes.chart, logics.scene),
        "follow-up-chart": chart_pixels(followUp.bothLungs, logics.scene),
    }
    pictures.mkdir(parents=True, exist_ok=True)
    for name, pixels in drawn.items():
        Image.fromarray(pixels).save(pictures / f"{name}.png", optimize=True)
    logics.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
