"""The terminal: the program ``covidct`` and its commands.

Each command is a file with `add_parser`, which adds its arguments, and `run`, which takes them parsed and gives the
exit code: 0, unless `run` says otherwise.
"""
