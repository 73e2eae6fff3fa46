"""What a change asks for: of the checks, and of each model."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

# Stronger first: training from scratch covers what a retraining would do, and both end in a test.
PIPELINES = ("train", "retrain", "test")


def strength(pipeline: str | None) -> int:
    """Less is stronger; no pipeline is the weakest."""
    return PIPELINES.index(pipeline) if pipeline in PIPELINES else len(PIPELINES)


@dataclass(frozen=True)
class ModelPlan:
    """What to do about one model. `pipeline` is None for nothing, `base` None where everything counts as changed."""

    name: str
    pipeline: str | None
    reason: str
    # The commit that its files were compared with: where its pipeline last ended well, or else the plan's.
    base: str | None = None
    # What the change since then asks for by itself: more than `pipeline` where that was carried out in vain already.
    owed: str | None = None

    def as_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True)
class Plan:
    """What to do about a change. `pipeline` and `reason` are those of the strongest of `models`."""

    pipeline: str | None
    reason: str
    base: str | None
    changed: list[str] = field(default_factory=list)
    # Tests, packages and images, by "test", "build" and "image".
    affected: dict[str, list[str]] = field(default_factory=dict)
    models: list[ModelPlan] = field(default_factory=list)

    def with_models(self, models: Iterable[ModelPlan]) -> "Plan":
        """The same change with other things to do about models."""
        listed = list(models)
        # The first of several that are as strong; they stand in the order of their names.
        first = min(listed, key=lambda model: strength(model.pipeline), default=None)
        pipeline, reason = (first.pipeline, first.reason) if first else (None, self.reason)
        return Plan(pipeline, reason, self.base, self.changed, self.affected, listed)

    def of(self, name: str) -> ModelPlan | None:
        """What is to be done about the model `name`."""
        return next((model for model in self.models if model.name == name), None)

    @property
    def asked(self) -> list[ModelPlan]:
        """The models about which there is something to do."""
        return [model for model in self.models if model.pipeline]

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Plan":
        """A plan as it was printed or kept, by this Trainyard or an earlier one, which knew of no models."""
        known = {name.name: found[name.name] for name in fields(cls) if name.name in found}
        kept = {name.name for name in fields(ModelPlan)}
        models = [ModelPlan(**{k: v for k, v in model.items() if k in kept}) for model in known.pop("models", [])]
        return cls(**known, models=models)
