"""Whether another process of this machine is still there."""

import os


def exists(pid: int) -> bool:
    """Also of another user's process, which may not be signalled."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
