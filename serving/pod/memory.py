"""How much memory a process has taken."""

import re
import subprocess
from pathlib import Path

_LINE = re.compile(r"^Vm(RSS|HWM):\s+(\d+) kB$", re.MULTILINE)


def of_process(pid: int) -> tuple[float, float] | None:
    """Resident memory in MiB, now and at its highest; where the system keeps no highest, now stands for both."""
    status = Path(f"/proc/{pid}/status")
    if status.parent.parent.joinpath("self").exists():
        try:
            return of_status(status.read_text("ascii", "replace"))
        except OSError:
            return None
    # macOS has no /proc.
    listed = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return (int(listed) / 1024, int(listed) / 1024) if listed.isdecimal() else None


def of_status(text: str) -> tuple[float, float] | None:
    """The same from the text of one or several /proc/PID/status files: the largest process counts."""
    found: dict[str, float] = {}
    for kind, kilobytes in _LINE.findall(text):
        found[kind] = max(found.get(kind, 0.0), int(kilobytes) / 1024)
    return (found["RSS"], found["HWM"]) if len(found) == 2 else None
