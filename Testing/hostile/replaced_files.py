"""Files that a test writes a first time and then replaces: a bundle of a network, and the state of a training."""

from __future__ import annotations

from CovidCTLib.models.card import ModelCard

CARD = ModelCard(
    name="opacities",
    version="1",
    role="opacities",
    architecture={"decoder": [8], "outputs": 3},
    size=64,
    framing="lungs",
    expects="CT",
    gives="logits",
    sha256="",
)


def written_bundle(folder, content):
    """Write a bundle whose weights are a text."""
    from CovidCTLib.models.bundle import write_bundle

    return write_bundle(folder, CARD, lambda path: path.write_bytes(content))


def progress_of(path, step):
    """The state of a training at a step."""
    from CovidCTLib.training.progress import Progress

    progress = Progress(path, {"what is trained": "lungs"})
    progress.step = step
    return progress
