"""A folder of CTs, one after the other: a folder of results for each, and a table of which is which."""

from __future__ import annotations
