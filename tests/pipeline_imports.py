"""What the command `pipeline` imports, all but its own module: see tests.forks."""

import pipeline.execution
import pipeline.options
import pipeline.plan
import pipeline.request
import pipeline.runs_view
import pipeline.summary
import pipeline.watch  # noqa: F401
