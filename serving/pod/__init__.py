"""The serving pod, model server and adapter side by side, as production runs it: as processes, or as containers."""

from serving.pod.compose import ComposePod
from serving.pod.local import LocalPod
from serving.pod.pod import Pod, PodFailed, free_port

__all__ = ["ComposePod", "LocalPod", "Pod", "PodFailed", "free_port"]
