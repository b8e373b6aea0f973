"""Bad inputs of the library: arrays, images, grids, options, paths and models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import broken_files as broken
import numpy as np
import SimpleITK as sitk
from bad_inputs import BadInput
from dicom_maker import chest_like

from CovidCTLib import Options, Scan, analyze, read_scan, write_results
from CovidCTLib.geometry import Geometry
from CovidCTLib.hu import AerationBand


def call(name: str, entry: str, what: str, do: Callable[[], Any]) -> BadInput:
    """A call that needs no files."""
    return BadInput(name, entry, what, lambda folder: do())


SHAPE = (12, 20, 24)
GRID = Geometry(SHAPE)


def _spoiled(value: float) -> np.ndarray:
    hu = chest_like().astype(np.float32)
    hu[1, 2, 3] = value
    return hu


ANALYZE = "analyze()"
ARRAYS = (
    call("array-without-grid", ANALYZE, "an array without its grid", lambda: analyze(chest_like())),
    call(
        "array-of-another-grid", ANALYZE, "an array and another grid", lambda: analyze(chest_like()[1:], geometry=GRID)
    ),
    call("list", ANALYZE, "a list", lambda: analyze([1, 2])),
    call("nothing", ANALYZE, "None", lambda: analyze(None)),
    call("path", ANALYZE, "a path", lambda: analyze("ct.nii.gz")),
    call("picture", ANALYZE, "a single picture", lambda: analyze(chest_like()[0], geometry=GRID)),
    call("four-dimensions", ANALYZE, "four dimensions", lambda: analyze(chest_like()[None], geometry=GRID)),
    call("mask", ANALYZE, "a mask", lambda: analyze(chest_like() > 0, geometry=GRID)),
    call("complex", ANALYZE, "complex numbers", lambda: analyze(chest_like() * 1j, geometry=GRID)),
    call("texts", ANALYZE, "texts", lambda: analyze(chest_like().astype(str), geometry=GRID)),
    call("nan", ANALYZE, "a voxel that is NaN", lambda: analyze(_spoiled(np.nan), geometry=GRID)),
    call("minus-infinity", ANALYZE, "a voxel that is infinite", lambda: analyze(_spoiled(-np.inf), geometry=GRID)),
    call("zeros", ANALYZE, "zeros", lambda: analyze(np.zeros(SHAPE), geometry=GRID)),
    call("labels", ANALYZE, "labels", lambda: analyze((chest_like() > 0).astype(int), geometry=GRID)),
    call("no-slices", ANALYZE, "no slices", lambda: analyze(np.zeros((0, 20, 24)), geometry=GRID)),
    call("image-2d", ANALYZE, "an image of two dimensions", lambda: analyze(sitk.Image(64, 64, sitk.sitkInt16))),
    call(
        "image-rgb", ANALYZE, "an image of colours", lambda: analyze(sitk.Image([20, 20, 5], sitk.sitkVectorUInt8, 3))
    ),
    call("scan-from-small-array", "Scan.from_array()", "4 x 4 voxels", lambda: Scan.from_array(np.zeros((4, 4, 4)))),
)

GEOMETRY = "Geometry()"
GRIDS = (
    call("spacing-0", GEOMETRY, "a spacing of 0", lambda: Geometry(SHAPE, (0.0, 1.0, 1.0))),
    call("spacing-negative", GEOMETRY, "a negative spacing", lambda: Geometry(SHAPE, (1.0, -1.0, 1.0))),
    call("spacing-nan", GEOMETRY, "a spacing that is NaN", lambda: Geometry(SHAPE, (1.0, 1.0, float("nan")))),
    call("spacing-2d", GEOMETRY, "two spacings", lambda: Geometry(SHAPE, (1.0, 1.0))),
    call("sheared", GEOMETRY, "sheared axes", lambda: Geometry(SHAPE, direction_lps=(1, 0.5, 0, 0, 1, 0, 0, 0, 1))),
    call(
        "grid-of-another-array",
        "Geometry.to_image()",
        "an array of another shape",
        lambda: GRID.to_image(np.zeros((2, 2, 2))),
    ),
)

OPTIONS = "Options()"
SETTINGS = (
    call("engine", OPTIONS, "an unknown way to find lungs", lambda: Options(lungs="magic")),
    call("threads", OPTIONS, "0 threads", lambda: Options(threads=0)),
    call("slice-threshold", OPTIONS, "a slice threshold that is NaN", lambda: Options(slice_threshold=float("nan"))),
    call("case-threshold", OPTIONS, "a case threshold of 1", lambda: Options(case_threshold=1.0)),
    call("localization-threshold", OPTIONS, "a localization threshold of 1", lambda: Options(localization_threshold=1)),
    call("localization-sigma", OPTIONS, "a sigma of 50 mm", lambda: Options(localization_sigma_mm=50)),
    call("high-opacity", OPTIONS, "a high opacity that is NaN", lambda: Options(high_opacity_hu=float("nan"))),
    call("vessels", OPTIONS, "vessels from infinity", lambda: Options(vessel_hu=float("inf"))),
    call(
        "band", OPTIONS, "a band that ends under its start", lambda: Options(aeration_bands=(AerationBand("x", 0, -5),))
    ),
)


SOURCE = "source_of_grid()"


def _write(out: str, prepare: Callable[[Path], object] = lambda folder: None) -> Callable[[Path], object]:
    def given(folder: Path) -> object:
        from analysis_maker import make_analysis

        prepare(folder)
        target = folder / out if "\0" not in out else out
        return write_results(make_analysis(), target, report=False)

    return given


def _source_of(spoil: Callable[[list[Path]], None], slices: int = 12) -> Callable[[Path], object]:
    """Ask for the DICOM study of a CT of 12 slices whose voxels another program has read."""

    def given(folder: Path) -> object:
        from dicom_maker import write_series

        from CovidCTLib.reading.dicom_source import source_of_grid

        write_series(folder / "ct")
        files = sorted((folder / "ct").iterdir())
        spoil(files)
        return source_of_grid(files, Geometry((slices, 20, 24), (0.7, 0.8, 2.5), (-10.0, -20.0, -300.0)))

    return given


WRITE = "write_results()"
FILES = (
    BadInput("write-into-content", WRITE, "a folder with content", _write("out", broken.filled_output)),
    BadInput("write-onto-a-file", WRITE, "a file", _write("out", lambda f: (f / "out").write_text("mine"))),
    BadInput("write-under-a-file", WRITE, "a path under a file", _write("a/b", lambda f: (f / "a").write_text("mine"))),
    BadInput("write-to-zero", WRITE, "a path with a zero character", _write("a\0b")),
    BadInput("read-nothing", "read_scan()", "a path with nothing there", lambda f: read_scan(f / "none.nii.gz")),
    BadInput(
        "read-text", "read_scan()", "a text file", lambda f: (f / "a.txt").write_text("x") and read_scan(f / "a.txt")
    ),
    BadInput("source-gone", SOURCE, "DICOM files of which one is gone", _source_of(lambda files: files[0].unlink())),
    BadInput("source-cropped", SOURCE, "a CT with a slice less than images", _source_of(lambda files: None, 11)),
    BadInput("source-without-uids", SOURCE, "files without a frame of reference", _source_of(lambda files: None)),
    BadInput("list-nothing", "list_series()", "a path with nothing there", lambda f: _listed(f / "none")),
)


def _listed(folder: Path) -> object:
    from CovidCTLib.reading import list_series

    return list_series(folder)


def _store(folder: Path | None, device: str = "cpu") -> object:
    from CovidCTLib.models.store import ModelStore

    return ModelStore(folder, device).lungs()


def _weights(path: Path, content: object) -> object:
    import torch

    from CovidCTLib.models.weights import load_state

    torch.save(content, path)
    return load_state(path)


STORE = "ModelStore()"
MODELS = (
    BadInput("store-of-nothing", STORE, "a folder that is not there", lambda f: _store(f / "none")),
    BadInput("store-of-an-empty-folder", STORE, "an empty folder", lambda f: _store(f)),
    BadInput("store-on-a-toaster", STORE, "a device that is not there", lambda f: _store(None, "toaster")),
    BadInput("weights-of-a-list", "load_state()", "weights that are a list", lambda f: _weights(f / "w.pt", [1, 2])),
    BadInput(
        "weights-of-code", "load_state()", "weights that would run code", lambda f: _weights(f / "w.pt", {"a": print})
    ),
)

ROWS = (*ARRAYS, *GRIDS, *SETTINGS, *FILES, *MODELS)
