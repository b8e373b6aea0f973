"""Training of the networks on folders of CTs or slices with masks; ``covidct train`` is its front."""
