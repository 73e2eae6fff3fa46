"""The serving pod, model server and adapter side by side, as processes, containers, or in a cluster."""

from serving.pod.compose import ComposePod
from serving.pod.kubernetes import KubernetesPod, model_server_image
from serving.pod.local import LocalPod
from serving.pod.place import Place
from serving.pod.pod import Pod, PodFailed, free_port

__all__ = ["ComposePod", "KubernetesPod", "LocalPod", "Place", "Pod", "PodFailed", "free_port", "model_server_image"]
