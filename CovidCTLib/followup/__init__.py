"""Studies of one patient over time: what changed, in numbers, words and maps."""

from __future__ import annotations

from CovidCTLib.followup.course import follow_up
from CovidCTLib.followup.result import FollowUp, LeftOut
from CovidCTLib.followup.study import Study, parse_date, patient_key, stated_date

__all__ = ["FollowUp", "LeftOut", "Study", "follow_up", "parse_date", "patient_key", "stated_date"]
