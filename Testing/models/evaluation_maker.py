"""Records of evaluations, as far as model cards need them."""

from __future__ import annotations

import json


def record(task, models=1):
    """What covidct evaluate wrote before its cases said who judged them, as far as a card needs it."""
    figure = {"group": "volumes", "name": "dice", "label": "infection: volume error", "unit": "ml", "value": 1.5}
    figure |= {"low": None, "high": None, "count": 9, "counted": "cases", "patients": 7}
    judges = [{"sha256": f"{0xAB + k:02x}" * 32} for k in range(models)]
    return json.dumps({"task": task, "models": judges, "figures": [figure]})


def changed(**entries):
    """An evaluation of one model with other entries."""
    return json.dumps({**json.loads(record("opacities")), **entries})
