"""A light load generator outside Python for HTTP/1.1: wrk."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from benchmarks.h2load import Load
from cli import InfrastructureError

_SCRIPT = """
wrk.method = "POST"
wrk.body = io.open("{body}", "rb"):read("*a")
{headers}
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("figures %d %d %d %d %d %d\\n", summary.requests, summary.duration,
    e.status, e.connect + e.read + e.write + e.timeout, latency:percentile(50), latency:percentile(99)))
end
"""


def load(way: str, url: str, body: bytes, clients: int, seconds: float, headers: dict[str, str]) -> Load:
    """POST `body` for so many seconds, each client again as soon as it is answered.

    Raises:
        InfrastructureError: wrk is missing, or an answer was none of 200 to 399.
    """
    if shutil.which("wrk") is None:
        raise InfrastructureError("wrk is missing: `apt-get install wrk` (macOS: `brew install wrk`).")
    with tempfile.TemporaryDirectory() as folder:
        data, script = Path(folder, "body"), Path(folder, "script.lua")
        data.write_bytes(body)
        lines = [f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items()]
        script.write_text(_SCRIPT.format(body=data, headers="\n".join(lines)))
        command = ["wrk", "-t1", f"-c{clients}", f"-d{max(1, round(seconds))}s", "--timeout=60s", f"-s{script}", url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    figures = next((line.split()[1:] for line in done.stdout.splitlines() if line.startswith("figures ")), None)
    if done.returncode or figures is None:
        raise InfrastructureError(f"wrk failed ({way}, {clients} clients): {done.stdout}{done.stderr}")
    requests, microseconds, refused, failed, p50, p99 = map(int, figures)
    if refused or failed or not requests:
        raise InfrastructureError(
            f"The run is void: of {requests} requests ({way}, {clients} clients) {refused} had another status than "
            f"200 and {failed} none."
        )
    return Load(way, clients, requests, requests / (microseconds / 1e6), p50 / 1000, p99 / 1000)
