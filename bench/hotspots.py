"""``.venv/bin/python bench/hotspots.py``: profile the hot requests in a web process with py-spy."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import run
from bench.run import KEY, NUMBER, Request, get, over_http, post, unit, waybill

SECONDS, RATE = 10, 200
LINES = {
    "GET /api/v1/tracking/{id}": lambda: Request("GET", f"/api/v1/tracking/{unit()}", KEY),
    "POST /api/v1/checkpoints": post("/api/v1/checkpoints"),
    "GET /next-tracking-number": get(f"/next-tracking-number{NUMBER}", {}),
}


def stacks(raw: Path) -> Iterator[tuple[list[str], int]]:
    """Yield each stack of a web request, outermost frame first, and its number of samples."""
    for line in raw.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        if any("WSGIHandler.__call__" in frame for frame in frames):
            yield frames, int(count)


def main() -> None:
    """Send each request for some seconds and print the lines with the most own time."""
    run.UNITS, run.SECONDS = 5_000, SECONDS + 2
    with tempfile.TemporaryDirectory(prefix="waybill-profile-") as scratch, waybill(scratch) as (port, _url, _merchant):
        os.chmod(scratch, 0o711)
        found = subprocess.run(["pgrep", "-f", "gunicorn -c deploy/gunicorn.py"], capture_output=True, text=True)
        process = found.stdout.split()[-1]
        for name, request in LINES.items():
            raw = Path(scratch) / "raw"
            spy = [str(Path(sys.executable).parent / "py-spy"), "record", "-p", process, "-d", str(SECONDS)]
            watching = subprocess.Popen([*spy, "-r", str(RATE), "-f", "raw", "-o", str(raw)], stdout=-3, stderr=-3)
            over_http(port, request)
            watching.wait()
            own: Counter[str] = Counter()
            for frames, count in stacks(raw):
                own[frames[-1]] += count
            print(f"\n{name}")
            for frame, count in own.most_common(8):
                print(f"  {count / own.total():6.1%}  {frame}")


if __name__ == "__main__":
    main()
