"""Which process holds a promotion, and whether it is still there."""

import os
import socket
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel

from cli import processes


class Holder(BaseModel):
    host: str
    pid: int
    # Boot, process namespace and start time: a number is given to many processes, this to one. Empty where the
    # system has no /proc.
    life: str = ""

    @classmethod
    def this_process(cls) -> "Holder":
        pid = os.getpid()
        return cls(host=socket.gethostname(), pid=pid, life=_life(pid))

    def is_alive(self) -> bool | None:
        """None when that can't be told from here: another machine, another container."""
        if self.host != socket.gethostname():
            return None
        here = _life(os.getpid())
        if not (self.life and here):
            return processes.exists(self.pid) if not (self.life or here) else None
        if self.life.rsplit("/", 1)[0] != here.rsplit("/", 1)[0]:
            return None
        return _life(self.pid) == self.life

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def _life(pid: int) -> str:
    with suppress(OSError, IndexError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        namespace = os.readlink("/proc/self/ns/pid")
        # The command's name, in parentheses, may hold anything; the start time is the 20th field after it.
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        if fields[0] not in "ZX":  # a process that has ended may still be listed
            return f"{boot}/{namespace}/{fields[19]}"
    return ""
