# Imports follow the check that slicer-core is there.
# ruff: noqa: E402
from __future__ import annotations

import inspect
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")

from CovidCTScene import addSample, addSampleCourse, registerSamples, scanFromVolumeNode, studiesOfPatient

from CovidCTLib import phantom as phantom_file

ICON = Path(__file__).resolve().parents[2] / "CovidCT" / "Resources" / "Icons" / "CovidCT.png"


@pytest.fixture(autouse=True)
def phantoms(monkeypatch):
    """Makes each chest once; a second takes seconds."""
    monkeypatch.setattr(phantom_file, "make_chest_phantom", MAKE_ONCE)


MAKE_ONCE = lru_cache(phantom_file.make_chest_phantom)


class SampleDataLogic:
    """Takes what Slicer's SampleData.SampleDataLogic.registerCustomSampleDataSource takes, and no more."""

    def __init__(self):
        self.sources = []

    def registerCustomSampleDataSource(
        self,
        category="Custom",
        sampleName=None,
        uris=None,
        fileNames=None,
        nodeNames=None,
        customDownloader=None,
        thumbnailFileName=None,
        loadFileType="VolumeFile",
        loadFiles=None,
        loadFileProperties=None,
        checksums=None,
    ):
        # Slicer pairs these, and fails where one is missing.
        assert isinstance(uris, str)
        assert isinstance(fileNames, str)
        self.sources.append((category, sampleName, customDownloader, thumbnailFileName))


def test_both_samples_are_registered_with_a_loader_of_their_own_and_a_picture(scene):
    logic = SampleDataLogic()
    registerSamples(logic, lambda: scene, str(ICON))
    assert [(category, name) for category, name, _load, _picture in logic.sources] == [
        ("CovidCT", "Synthetic chest CT"),
        ("CovidCT", "Synthetic course of three studies"),
    ]
    for _category, _name, load, picture in logic.sources:
        assert ICON.samefile(picture)
        assert len(inspect.signature(load).parameters) == 1
    (node,) = logic.sources[0][2](object())
    assert node.GetScene() is scene


def test_the_sample_is_the_chest_of_the_demo(scene):
    composite = scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    (node,) = addSample(scene)
    scan = scanFromVolumeNode(node)
    phantom = MAKE_ONCE()
    np.testing.assert_array_equal(scan.hu, phantom.scan.hu)
    np.testing.assert_allclose(scan.geometry.ijk_to_lps, phantom.scan.geometry.ijk_to_lps)
    assert (node.GetDisplayNode().GetLevel(), node.GetDisplayNode().GetWindow()) == (-600, 1500)
    assert composite.GetBackgroundVolumeID() == node.GetID()
    (second,) = addSample(scene)
    assert second.GetName() != node.GetName()


def test_the_course_is_one_patient_whose_opacities_go(scene):
    nodes = addSampleCourse(scene)
    studies = studiesOfPatient(scene, nodes[0])
    assert [study.volumeNode for study in studies] == nodes
    assert [study.date.isoformat() for study in studies] == ["2020-03-02", "2020-03-09", "2020-03-23"]
    phantom = MAKE_ONCE()
    well = MAKE_ONCE(diseased=False)
    inside = phantom.opacities > 0
    means = [float(scanFromVolumeNode(node).hu[inside].mean()) for node in nodes]
    assert means[0] == pytest.approx(phantom.scan.hu[inside].mean())
    assert means[2] == pytest.approx(well.scan.hu[inside].mean())
    assert means[1] == pytest.approx((means[0] + means[2]) / 2, abs=0.5)
