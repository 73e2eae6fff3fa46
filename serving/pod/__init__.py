"""A serving pod on this machine: model server and adapter side by side, as in production, as two processes."""

from serving.pod.local import LocalPod, free_port

__all__ = ["LocalPod", "free_port"]
