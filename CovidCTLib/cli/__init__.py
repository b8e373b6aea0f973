"""The terminal: the program ``covidct`` and its commands."""
