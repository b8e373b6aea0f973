"""A listener whose analysis is a stand-in: it sleeps, and gives one text SR of the study. Run by the tests."""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from CovidCTLib.archive.analyzing import write_failure
from CovidCTLib.archive.nodes import Node, parse_node
from CovidCTLib.archive.receiving import Listener, ListenerSettings
from CovidCTLib.archive.service import Service, ServiceSettings
from CovidCTLib.archive.spool import Spool


def main(spool, archive, port, analysis_s, rest_s, *callers):
    """Listen until killed."""

    def analyze(images, results):
        time.sleep(float(analysis_s))
        write_failure(images, results, "This is a stand-in.")
        return "analyzed by a stand-in"

    def tell(line):
        sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n")
        sys.stdout.flush()

    queue = Spool(spool)
    listener = Listener(queue, ListenerSettings(Node("COVIDCT", "127.0.0.1", int(port)), callers), tell)
    listener.start()
    settings = ServiceSettings(parse_node(archive), rest_s=float(rest_s), retry_s=1.0)
    Service(queue, listener, analyze, settings, tell).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
