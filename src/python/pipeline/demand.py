"""A pipeline that somebody asks for whatever has changed: the schedule, new images, the monitor, or a person."""

from dataclasses import replace

from cli import UsageError
from pipeline.plan import PIPELINES, Plan


def demanded(made: Plan, pipeline: str, why: str) -> Plan:
    """`made`, or the stronger plan that `pipeline` asks for; an empty one asks for nothing.

    Raises:
        UsageError: there is no such pipeline.
    """
    if not pipeline:
        return made
    if pipeline not in PIPELINES:
        raise UsageError(f"Pipeline {pipeline!r} is not known; ask for one of {', '.join(PIPELINES)}.")
    if made.pipeline and PIPELINES.index(made.pipeline) <= PIPELINES.index(pipeline):
        return made
    return replace(made, pipeline=pipeline, reason=f"{pipeline} was asked for: {why or 'no reason was given'}")
