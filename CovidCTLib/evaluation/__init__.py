"""Judging the networks on named cases with masks: what ``covidct evaluate`` computes, and how it is shown."""
