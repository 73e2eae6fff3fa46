"""Two gibibytes of variables: they are served, and no more memory is taken than for them and the server itself.

In CI alone, as it takes that memory, as much of the disk and half a minute; elsewhere by TRAINYARD_LARGE=1.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tensorflow_serving.apis import predict_pb2

from tests.integration.model_server.large import BYTES, COLUMNS, FIRST, LAST, ROWS
from tests.integration.model_server.servers import Server

GIB = 2**30
NEEDED = 2 * BYTES  # of memory, for maker or server; the disk holds the model once, and its pages stay in memory
DT_INT64 = 9
pytestmark = pytest.mark.skipif(
    "TRAINYARD_LARGE" not in os.environ, reason="takes 4 GiB of memory and of the disk; TRAINYARD_LARGE=1 runs it"
)


def free_memory() -> int:
    """Bytes that a new process may take, of the machine and of this container."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", Path("/proc/meminfo").read_text(encoding="ascii"), re.M)
    assert found
    limit, used = (Path(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
    left = [int(found[1]) * 1024]
    if limit.exists() and used.exists() and limit.read_text().strip() != "max":
        left.append(int(limit.read_text()) - int(used.read_text()))
    return min(left)


def highest(process: int) -> int:
    """Bytes of memory that the process has had at its highest."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{process}/status").read_text(encoding="ascii"), re.M)
    assert found
    return int(found[1]) * 1024


def test_two_gibibytes_of_variables_are_held_once(tmp_path: Path) -> None:
    if not Path("/proc/meminfo").exists():
        pytest.skip("this system does not tell what memory is free")
    for what, free in (("memory", free_memory()), ("disk", shutil.disk_usage(tmp_path).free)):
        if free < NEEDED:
            pytest.skip(f"{NEEDED / GIB:.1f} GiB of {what} are needed, {free / GIB:.1f} GiB are free")
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path or os.getcwd() for path in sys.path))
    made = tmp_path / "m" / "1"
    subprocess.run(
        [sys.executable, "-m", "tests.integration.model_server.large", made], check=True, env=environment, timeout=200
    )
    flags = [f"--model_base_path={tmp_path}/m", "--model_name=m", "--max_num_load_retries=0"]
    server = Server(tmp_path, *flags, alone=True)
    try:
        message = predict_pb2.PredictRequest()
        message.model_spec.name = "m"
        message.inputs["row"].dtype = DT_INT64
        message.inputs["row"].tensor_shape.dim.add(size=3)
        message.inputs["row"].int64_val.extend([ROWS - 1, 1, 0])
        answer = server.predictions.Predict(message, timeout=60).outputs["sum"].float_val
        assert list(answer) == [LAST * COLUMNS, 0.0, FIRST * COLUMNS]
        peak = highest(server.process.pid)
        print(f"{BYTES / GIB:.2f} GiB of variables: {peak / GIB:.2f} GiB of memory at the highest")
        # A second copy, if only while it is loading, would be 4 GiB.
        assert peak < BYTES + GIB
    finally:
        server.close()
        shutil.rmtree(made)  # pytest keeps folders of tests
