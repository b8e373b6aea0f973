"""A finished result folder of ``covidct analyze``, read back into the dataclasses that it was written from."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidCTLib.analysis import (
    Analysis,
    AxialArrays,
    CaseDecision,
    Measurement,
    ModelUsed,
    Provenance,
    SliceFinding,
    SliceMeasures,
)
from CovidCTLib.errors import InputError, Notice, OptionsError
from CovidCTLib.geometry import CanonicalGrid, Geometry
from CovidCTLib.hu import LOWEST_HU
from CovidCTLib.measures.definitions import absent_columns
from CovidCTLib.measures.region_table import EFFUSION_REASON
from CovidCTLib.options import Options
from CovidCTLib.results.names import LABELMAP_FILE, LOCALIZATION_FILE, SCAN_FILE, SEGMENTATION_FILE
from CovidCTLib.results.plain_values import PlainValueError, from_plain
from CovidCTLib.results.stored_arrays import Layers, check_grid, read_nifti, read_segmentation_layers
from CovidCTLib.results.stored_record import damaged_record, read_stored_record
from CovidCTLib.scan import Identifiers, Scan, ScanFacts

CT_NOT_STORED = Notice(
    "ct-not-stored",
    "The CT is not stored with these results, so pictures of them show the findings without the CT.",
    "note",
)
"""Attached to an analysis that was read without its CT."""

_EFFUSION_REASONS = (EFFUSION_REASON, "the network does not predict pleural effusion yet")
"""Why there is no effusion among the measures where it was not looked for: now, and in results of earlier versions."""


def has_ct(analysis: Analysis) -> bool:
    """Tell whether the HU of an analysis are those of the CT; false where it was read from a folder without its CT."""
    return CT_NOT_STORED not in analysis.notices


def read_analysis(folder: str | os.PathLike[str], scan: Scan | None = None) -> Analysis:
    """Read a finished result folder back.

    Parameters
    ----------
    folder
        A folder that ``covidct analyze`` wrote.
    scan
        The CT, on the grid of the results; its HU and identifiers are taken over. None takes ``ct.nii.gz`` where the
        folder holds it.

    Returns
    -------
    Analysis
        As it was written. Where the CT is neither given nor stored, every voxel of ``scan.hu`` and ``axial.hu`` is
        air (-1024 HU, an array that takes no memory), the notice `CT_NOT_STORED` says so, and `has_ct` is false.

    Raises
    ------
    InputError
        As `read_stored_record`; and if a file is missing, damaged, on another grid or of another program, or the scan
        lies on another grid.

    Notes
    -----
    Lungs and opacities come from ``segmentation.seg.nrrd``, whose two layers keep the lung under an opacity; the
    labelmap does not. Of oblique scans (`CanonicalGrid.resamples`) the axial arrays are resampled from the scan's own
    grid and may differ from the first ones at edges, by up to a voxel. Reading 512 x 512 x 300 voxels takes about
    two seconds on two cores.
    """
    folder_path = Path(folder)
    record = read_stored_record(folder_path)
    try:
        geometry = from_plain(Geometry, record["geometry"])
        if min(geometry.shape_zyx) < 1:
            raise PlainValueError("shape_zyx")
    except (KeyError, PlainValueError) as error:
        raise damaged_record(str(error.args[0])) from error
    except (AttributeError, TypeError, ValueError, InputError) as error:
        raise damaged_record("geometry") from error
    (lungs, opacities, lobes), localization, hu = _arrays(folder_path, geometry, scan)
    return restored_analysis(record, lungs, opacities, localization, hu, scan, lobes)


def restored_analysis(
    record: Mapping[str, Any],
    lungs: NDArray[np.uint8],
    opacities: NDArray[np.uint8],
    localization: NDArray[np.float32],
    hu: NDArray[np.int16] | None,
    scan: Scan | None = None,
    lobes: NDArray[np.uint8] | None = None,
) -> Analysis:
    """Put an analysis together from its record and its arrays.

    Parameters
    ----------
    record
        As `parsed_record` gives it.
    lungs, opacities, localization
        As in `CovidCTLib.analysis.Analysis`, on the grid of the record.
    hu
        The CT on the same grid; None where it is not at hand.
    scan
        Takes its notices and identifiers from here where given.
    lobes
        As in `CovidCTLib.analysis.Analysis`.

    Returns
    -------
    Analysis
        As it was made.

    Raises
    ------
    InputError
        If the record misses a field or holds one that cannot be used.
    """
    try:
        geometry = from_plain(Geometry, record["geometry"])
        if min(geometry.shape_zyx) < 1:
            raise PlainValueError("shape_zyx")
        facts = from_plain(ScanFacts, record["scan"])
        stored_identifiers = record["identifiers"]
        identifiers = None if stored_identifiers is None else from_plain(Identifiers, stored_identifiers)
        options = _options(record["options"])
        case = from_plain(CaseDecision, record["case"])
        notices = _each(Notice, record["notices"])
        measures = _each(Measurement, record["measures"])
        models = _each(ModelUsed, record["models"])
        seconds = {str(name): float(value) for name, value in record["seconds"].items()}
        versions = {str(name): str(value) for name, value in record["versions"].items()}
        rows = record["slices"]
        # Earlier versions measured what they found, and did not say so.
        provenance = from_plain(Provenance, record.get("provenance") or {"lungs": options.lungs})
    except (KeyError, PlainValueError) as error:
        raise damaged_record(str(error.args[0])) from error
    except (AttributeError, TypeError, ValueError, InputError, OptionsError) as error:
        raise damaged_record("a field") from error
    if hu is None:
        hu = np.broadcast_to(np.int16(LOWEST_HU), geometry.shape_zyx)
        notices = (*notices, CT_NOT_STORED)
    scan_read = Scan(hu, geometry, facts, scan.notices if scan else (), scan.identifiers if scan else identifiers)
    axial = _axial(scan_read, lungs, opacities, localization, _tells_effusion(measures))
    return Analysis(
        scan=scan_read,
        lungs=lungs,
        opacities=opacities,
        localization=localization,
        axial=axial,
        measures=measures,
        slices=_slices(rows, axial, options),
        case=case,
        notices=notices,
        options=options,
        models=models,
        seconds=seconds,
        versions=versions,
        provenance=provenance,
        lobes=lobes,
    )


def _tells_effusion(measures: Sequence[Measurement]) -> bool:
    """Whether pleural effusion was looked for when the measures were made."""
    return any(m.name == "pleural_effusion_volume_ml" and m.reason not in _EFFUSION_REASONS for m in measures)


def _each(kind: type[Any], values: Any) -> tuple[Any, ...]:
    """Make a dataclass of every entry of a list."""
    if not isinstance(values, list):
        raise PlainValueError(kind.__name__)
    return tuple(from_plain(kind, value) for value in values)


def _options(value: Any) -> Options:
    """Read the options; JSON has no infinity, so None stands for the open ends of bands."""
    bands = [
        {
            **band,
            "low_hu": -math.inf if band["low_hu"] is None else band["low_hu"],
            "high_hu": math.inf if band["high_hu"] is None else band["high_hu"],
        }
        for band in value["aeration_bands"]
    ]
    return from_plain(Options, {**value, "aeration_bands": bands})


def _arrays(
    folder: Path, geometry: Geometry, scan: Scan | None
) -> tuple[Layers, NDArray[np.float32], NDArray[np.int16] | None]:
    """Layers of the segmentation, localization and HU, inflated side by side; HU are None where there are none."""
    same = scan is None or scan.geometry.shape_zyx == geometry.shape_zyx
    if scan is not None and not (same and geometry.lies_on(scan.geometry.ijk_to_lps)):
        difference = "has other voxel sizes or lies elsewhere" if same else f"has {_size(scan.geometry)} voxels"
        raise InputError(
            f"The CT of these results was expected, on a grid of {_size(geometry)} voxels, but the CT given "
            f"{difference}. Give the CT that was analyzed."
        )
    stored = scan is None and (folder / SCAN_FILE).exists()
    with ThreadPoolExecutor(3, thread_name_prefix="covidct-reading") as pool:
        heat = pool.submit(read_nifti, folder / LOCALIZATION_FILE, geometry, np.float32)
        layers = pool.submit(read_segmentation_layers, folder / SEGMENTATION_FILE, geometry)
        ct = pool.submit(read_nifti, folder / SCAN_FILE, geometry, np.int16) if stored else None
        labels = layers.result()
        localization = heat.result()
        check_grid(folder / LABELMAP_FILE, geometry)
        hu = scan.hu if scan is not None else (None if ct is None else ct.result())
    if not (float(localization.min()) >= 0 and float(localization.max()) <= 1):
        raise InputError(f"{LOCALIZATION_FILE} must hold values from 0 to 1, but holds others. Analyze the CT again.")
    return labels, localization, hu


def _size(geometry: Geometry) -> str:
    return " x ".join(str(size) for size in geometry.shape_zyx[::-1])


def _axial(
    scan: Scan,
    lungs: NDArray[np.uint8],
    opacities: NDArray[np.uint8],
    localization: NDArray[np.float32],
    effusion_known: bool,
) -> AxialArrays:
    """Bring the arrays to the canonical orientation; labels by nearest neighbour."""
    grid = CanonicalGrid(scan.geometry)
    spacing_known = scan.facts.spacing_known
    if not grid.resamples:
        hu, lungs, opacities, localization = (grid.take(a, 0) for a in (scan.hu, lungs, opacities, localization))
        return AxialArrays(hu, lungs, opacities, localization, grid.geometry, spacing_known, effusion_known)
    axial_lungs = grid.take(lungs, 0, labels=True)
    heat = np.where(axial_lungs > 0, grid.take(localization, 0), np.float32(0))
    hu = grid.take(np.ascontiguousarray(scan.hu), LOWEST_HU)
    axial_opacities = grid.take(opacities, 0, labels=True)
    return AxialArrays(hu, axial_lungs, axial_opacities, heat, grid.geometry, spacing_known, effusion_known)


def _slices(rows: Any, axial: AxialArrays, options: Options) -> tuple[SliceMeasures, ...]:
    """Read the table of slices.

    Where the spacing is not known the record leaves out areas and positions; those of the nominal grid are counted
    again, as the analysis did.
    """
    absent = absent_columns(axial.spacing_known)
    names = {field.name for field in fields(SliceMeasures)}
    zeros = dict.fromkeys(absent, 0.0)
    try:
        if len(rows) not in (0, axial.geometry.shape_zyx[0]):
            raise PlainValueError("slices")
        kept = tuple(
            from_plain(SliceMeasures, {**{k: v for k, v in row.items() if k in names}, **zeros}) for row in rows
        )
    except PlainValueError as error:
        raise damaged_record(str(error.args[0])) from error
    except (AttributeError, TypeError) as error:
        raise damaged_record("slices") from error
    if not absent or not kept:
        return kept
    from CovidCTLib.measures import measure_slices

    counted = measure_slices(axial, [SliceFinding(row.probability, row.positive) for row in kept], options)
    return tuple(_with_nominal(row, again, absent) for row, again in zip(kept, counted, strict=True))


def _with_nominal(row: SliceMeasures, again: SliceMeasures, absent: frozenset[str]) -> SliceMeasures:
    """Fill areas and position in; the vessels' area follows from its share, which needs no CT."""
    sizes: dict[str, Any] = {name: getattr(again, name) for name in absent}
    vessels = (row.vessel_ratio_percent or 0.0) * again.lung_area_mm2 / 100
    return replace(row, **{**sizes, "vessel_area_mm2": vessels})
