"""A program that speaks like ``covidct analyze`` and ``batch`` with ``--progress json``, for what the real one is too
slow or too good for.

It is told by environment variables how to behave (COVIDCT_FAKE) and which finished results to give
(COVIDCT_FAKE_RESULTS). Each call is noted in the file COVIDCT_FAKE_CALLS.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

WAIT_S = 60
STAGES = ("reading", "lungs", "opacities", "slices", "measures", "writing")


def tell(**entry):
    sys.stdout.write(json.dumps(entry) + "\n")
    sys.stdout.flush()


def wait():
    time.sleep(WAIT_S)


def main(arguments):
    behaviour = os.environ.get("COVIDCT_FAKE", "fine")
    scan, out = Path(arguments[3]), Path(arguments[arguments.index("-o") + 1])
    head = scan.read_bytes()[:400].decode("latin-1") if scan.is_file() else ""
    if os.environ.get("COVIDCT_FAKE_HOLD"):
        sys.path.insert(0, os.environ["PYTHONPATH"].split(os.pathsep)[0])
        from CovidCTLib.cli import lifeline

        lifeline.SOON_S, lifeline.GRACE_S = 0.0, 0.1
        lifeline.hold()
    note = {
        "process": os.getpid(),
        "arguments": arguments,
        "head": head,
        "mode": oct(scan.parent.stat().st_mode & 0o777),
    }
    with Path(os.environ["COVIDCT_FAKE_CALLS"]).open("a") as file:
        file.write(json.dumps(note) + "\n")
    if arguments[2] == "batch":
        return batch(scan, out, behaviour, arguments)
    if behaviour == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for number, stage in enumerate(STAGES):
        if number == 1:
            # Half a line, and a line of another program.
            sys.stdout.write('{"stage": "lun')
            sys.stdout.flush()
            time.sleep(0.05)
            sys.stdout.write('gs", "fraction": 0.05}\nsome library says hello\n[1, 2]\n')
            sys.stdout.flush()
        tell(stage=stage, fraction=round(number / len(STAGES), 4))
        if behaviour == stage or (behaviour == "stubborn" and stage == "lungs"):
            wait()
        if stage == "slices":
            if behaviour == "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            if behaviour == "refuse":
                sys.stderr.write("covidct: warning: Slices are thick.\n")
                tell(error="No lungs were found. Give a chest CT.")
                sys.stderr.write("covidct: No lungs were found. Give a chest CT.\n")
                return 1
            if behaviour == "broken":
                sys.stderr.write("Traceback (most recent call last):\nImportError: numpy is broken\n")
                return 1
            if behaviour == "silent":
                return 0
    if "bad" in scan.name:
        tell(error="The file is damaged. Copy it again.")
        return 1
    shutil.copytree(os.environ["COVIDCT_FAKE_RESULTS"], out)
    (out / "explanation.html").write_text("<p>explained</p>")
    tell(done=True, out=str(out))
    return 0


def batch(source, out, behaviour, arguments):
    if behaviour == "refuse":
        tell(error="The networks are damaged. Install them again.")
        return 1
    names = sorted(path.name for path in source.iterdir() if path.suffix != ".txt")
    skip = int(arguments[arguments.index("--skip") + 1]) if "--skip" in arguments else 0
    failed = False
    for number, name in enumerate(names[skip:], start=skip + 1):
        folder = f"case_{number:04d}"

        def case(event, reason="", number=number, folder=folder):
            tell(case=number, cases=len(names), event=event, folder=folder, reason=reason)

        if skip == number - 1 and skip:
            # As the real one notes what it finds in the table.
            tell(case=skip, cases=len(names), event="failed", folder="case", reason="It ended.")
        if (out / folder).exists():
            case("kept")
            continue
        case("begun")
        tell(stage="lungs", fraction=(number - 0.5) / len(names))
        if behaviour == "lungs":
            wait()
        if "crash" in name:
            os.kill(os.getpid(), signal.SIGKILL)
        if "full" in name:
            tell(error="The disk is full.")
            return 1
        if "bad" in name:
            failed = True
            case("failed", "The file is damaged. Copy it again.")
            continue
        shutil.copytree(os.environ["COVIDCT_FAKE_RESULTS"], out / folder)
        case("done")
    tell(done=True, out=str(out))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
