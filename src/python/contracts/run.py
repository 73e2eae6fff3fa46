"""What is kept of a run: run.json, written by `pipeline run` and read by `pipeline runs`, build servers and people."""

from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from contracts.plan import Plan
from contracts.verdict import Fault

Json = dict[str, JsonValue]


class _Kept(BaseModel):
    # What a newer or an older Trainyard keeps besides goes through untouched.
    model_config = ConfigDict(extra="allow", protected_namespaces=())


class Components(_Kept):
    components: dict[str, str] | None = None


class Said(_Kept):
    """What a step's program printed last: of a record or a verdict, the fields that the pipeline reads."""

    version: int | None = None
    # Where the page of a verdict is.
    report: str = ""
    # Of a verdict that is none: the tests that went wrong by themselves.
    broken: list[Fault] = []
    # Of a record.
    state: str | None = None
    awaits: str = ""
    parent: int | None = None
    seed: int | None = None
    parameters: Json | None = None
    code: Components | None = None
    steps: list[Json] | None = None
    metrics: Json | None = None
    dataset: Json | None = None


class StepResult(_Kept):
    """How a step ended."""

    name: str
    argv: list[str] = []
    # UTC, ISO 8601.
    started: str = ""
    ended: str = ""
    seconds: float = 0.0
    # Of its process; negative for a signal.
    exit_code: int
    log: str = ""
    # The last line of its output that is JSON: a record, a verdict.
    result: Any = None

    @property
    def said(self) -> Said:
        """The result where it is a record or a verdict; empty where it is something else."""
        try:
            return Said.model_validate(self.result)
        except ValidationError:
            return Said()


class ModelMade(_Kept):
    """The version that a run made or tested."""

    version: int | None = None
    parent: int | None = None
    seed: int | None = None
    parameters: Json | None = None
    components: dict[str, str] | None = None
    # Of the training itself, inside the step.
    steps: list[Json] | None = None
    metrics: Json | None = None


class RunState(_Kept):
    """run.json."""

    key: str = ""
    # As it was made: `contracts.plan.Plan.from_json` reads it.
    plan: Json = {}
    executor: str = "local"
    # The model that it is about; None for the checks that come before all models. An earlier Trainyard knew one model.
    model_name: str | None = None
    requested_by: str = "-"
    host: str = "-"
    pid: int | None = None
    checkout: str = ""
    # Of the command `run`; None in what the first Trainyards kept.
    arguments: Json | None = None
    code: Json = {}
    started: str | None = None
    ended: str | None = None
    exit_code: int | None = None
    steps: list[StepResult] = []
    dataset: Json = {}
    model: ModelMade | None = None
    verdict: Any = None
    artifacts: dict[str, str] = {}
    # Whether what is affected was checked before a model was made.
    checked: bool = True

    @property
    def planned(self) -> Plan:
        return Plan.from_json({"pipeline": None, "reason": "", "base": None} | self.plan)

    def step(self, name: str) -> StepResult | None:
        return next((step for step in self.steps if step.name == name), None)


class ModelOutcome(BaseModel):
    """How a model's pipeline ended; `exit_code` is None where it was not begun."""

    model_config = ConfigDict(frozen=True)

    exit_code: int | None = None
    version: int | None = None
    # Where the mail to the owner went.
    mail: str | None = None
    # The key of its run.
    run: str | None = None
