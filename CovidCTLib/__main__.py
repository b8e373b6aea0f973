"""``python -m CovidCTLib``: the same as the program ``covidct``."""

from __future__ import annotations

import sys

from CovidCTLib.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
