# Imports follow the check that slicer-core is there.
# ruff: noqa: E402
"""Results that are added a node a step: none until all are there, and removed again where not all come."""

from __future__ import annotations

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core has no wheel for this Python (pip install -e '.[test]')")

from CovidCTScene import addAnalysisToScene, analyzedCts, is3DShown, resultNodesOf, show3D
from CovidCTScene.nodes import CLASSES_AND_NAMES, isComing, markedNodes
from CovidCTScene.replaced import removeReplaced
from CovidCTScene.results import ADDING_ORDER, Adding
from scene_maker import SceneWithLogics

from CovidCTLib.errors import InputError

COUNT = len(ADDING_ORDER)


def names_of(scene):
    """Identifiers of all nodes."""
    return {scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())}


def taken(steps, count):
    """Take so many steps."""
    return [next(steps) for _ in range(count)]


def test_each_result_is_added_once():
    assert sorted(ADDING_ORDER) == sorted(CLASSES_AND_NAMES)


def test_results_count_from_the_last_step_on(scene, volume_node, analysis):
    adding = Adding(scene, volume_node, analysis)
    steps = adding.steps()
    for number in range(1, COUNT + 1):
        assert next(steps) == pytest.approx(number / (COUNT + 1))
        assert sum(map(len, markedNodes(scene, volume_node, coming=True).values())) == number
        assert resultNodesOf(scene, volume_node) is None
        assert analyzedCts(scene) == []
        assert not adding.done
    assert list(steps) == []
    assert adding.done
    assert resultNodesOf(scene, volume_node) == adding.nodes
    assert analyzedCts(scene) == [volume_node]
    assert not any(isComing(node) for node in vars(adding.nodes).values())


def test_the_views_are_shown_the_results_in_the_last_step(scene, volume_node, analysis):
    seen = []

    def show(nodes):
        seen.append((resultNodesOf(scene, volume_node) == nodes, nodes.segmentation.GetDisplayNode().GetVisibility()))

    steps = Adding(scene, volume_node, analysis, shown=show).steps()
    taken(steps, COUNT)
    assert seen == []
    assert list(steps) == []
    assert seen == [(True, True)]


@pytest.mark.parametrize("count", range(1, COUNT + 1))
def test_steps_that_are_not_all_taken_leave_the_scene_as_it_was(scene, volume_node, analysis, count):
    earlier = addAnalysisToScene(scene, volume_node, analysis)
    show3D(scene, earlier)
    before = names_of(scene)
    steps = Adding(scene, volume_node, analysis).steps()
    taken(steps, count)
    assert not is3DShown(earlier), "or each node that comes would draw the surfaces anew"
    assert earlier.segmentation.GetDisplayNode().GetVisibility()
    steps.close()
    assert names_of(scene) == before
    assert is3DShown(earlier)
    assert resultNodesOf(scene, volume_node) == earlier


def test_surfaces_that_were_hidden_stay_hidden(scene, volume_node, analysis):
    earlier = addAnalysisToScene(scene, volume_node, analysis)
    show3D(scene, earlier)
    show3D(scene, earlier, shown=False)
    steps = Adding(scene, volume_node, analysis).steps()
    taken(steps, 3)
    steps.close()
    assert not is3DShown(earlier)


@pytest.mark.parametrize("gone", ["volume", "result", "scene"])
def test_what_is_removed_meanwhile_ends_the_steps_with_a_reason(scene, volume_node, analysis, gone):
    steps = Adding(scene, volume_node, analysis).steps()
    taken(steps, 4)
    if gone == "scene":
        scene.Clear(0)
    else:
        marked = markedNodes(scene, volume_node, coming=True)
        scene.RemoveNode(volume_node if gone == "volume" else marked["localization"][0])
    before = names_of(scene)
    with pytest.raises(InputError, match="must stay in the scene while they are added, but one was removed"):
        list(steps)
    assert names_of(scene) <= before
    assert not any(isComing(scene.GetNthNode(index)) for index in range(scene.GetNumberOfNodes()))


def test_nodes_that_were_saved_while_they_came_go_with_the_next_analysis(tmp_path, scene, volume_node, analysis):
    steps = Adding(scene, volume_node, analysis).steps()
    taken(steps, COUNT)
    scene.SetURL(str(tmp_path / "scene.mrml"))
    scene.Commit()
    loaded = SceneWithLogics()
    loaded.scene.SetURL(scene.GetURL())
    loaded.scene.Connect()
    volume = loaded.scene.GetNodeByID(volume_node.GetID())
    assert sum(map(len, markedNodes(loaded.scene, volume, coming=True).values())) == COUNT
    assert resultNodesOf(loaded.scene, volume) is None
    for _share in removeReplaced(loaded.scene, volume):
        continue
    assert sum(map(len, markedNodes(loaded.scene, volume, coming=True).values())) == 0
    assert volume.GetScene() is loaded.scene
    loaded.close()


def test_segments_that_are_said_to_be_edited_are_kept_and_told(scene, volume_node, analysis):
    earlier = addAnalysisToScene(scene, volume_node, analysis)
    show3D(scene, earlier)
    adding = Adding(scene, volume_node, analysis, edited=lambda: True)
    assert adding.message == ""
    assert len(list(adding.steps())) == COUNT
    assert adding.message.startswith("The earlier segments had been edited by hand, so they were kept")
    assert earlier.segmentation.GetName().endswith("(edited)")
    assert not earlier.segmentation.GetDisplayNode().GetVisibility()
    assert earlier.segmentation.GetDisplayNode().GetVisibility3D(), "with its surfaces, where the user shows it again"


def test_nobody_is_asked_whether_segments_were_edited_before_all_is_there(scene, volume_node, analysis):
    addAnalysisToScene(scene, volume_node, analysis)
    asked = []
    steps = Adding(scene, volume_node, analysis, edited=lambda: asked.append(1) or False).steps()
    taken(steps, COUNT)
    assert asked == []
    list(steps)
    assert asked == [1]
