"""What is saved with the scene."""

from typing import Annotated

import CovidCTPanel as panels
from slicer import vtkMRMLScalarVolumeNode
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper


@parameterNodeWrapper
class CovidCTParameterNode:
    """What the user chose; it is saved with the scene. Folders of the batch are not, for they may name a patient."""

    inputVolume: vtkMRMLScalarVolumeNode
    device: panels.Device = panels.Device.auto
    lungsEngine: panels.LungsEngine = panels.LungsEngine.network
    sliceThreshold: Annotated[float, WithinRange(panels.SLICE_THRESHOLD_OF_MODEL, panels.HIGHEST_THRESHOLD)] = (
        panels.SLICE_THRESHOLD_OF_MODEL
    )
    caseThreshold: Annotated[float, WithinRange(panels.CASE_THRESHOLD_OF_MODEL, panels.HIGHEST_THRESHOLD)] = (
        panels.CASE_THRESHOLD_OF_MODEL
    )
    highOpacityHu: Annotated[int, WithinRange(panels.LOWEST_HU, panels.HIGHEST_HU)] = panels.DEFAULT_HIGH_OPACITY_HU
    vesselHu: Annotated[int, WithinRange(panels.LOWEST_HU, panels.HIGHEST_HU)] = panels.DEFAULT_VESSEL_HU
    modelsFolder: str = ""
