"""A Kubernetes cluster, asked by kubectl: it knows where the cluster is and who one is there."""

from cluster.kubectl import Kubectl

__all__ = ["Kubectl"]
