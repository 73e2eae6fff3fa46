"""What `pipeline run` was asked for. A run keeps it, so that it can be resumed."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import settings as settings_module
from contracts.executor import Executor
from models import Model
from pipeline import steps
from pipeline.plan import Question
from settings import Settings


@dataclass(frozen=True)
class Request:
    """The arguments of `run`."""

    since: str
    executor: str = "local"
    # Absolute, or None for what the settings say.
    registry: str | None = None
    dataset: str | None = None
    build: bool = True
    check: bool = True
    only: str | None = None
    demand: str = ""
    why: str = ""
    model: str | None = None
    # Models at a time; None for one where they share this machine, and all of them elsewhere.
    parallel: int | None = None
    again: bool = False
    or_everything: bool = False
    # The checks were carried out before, by somebody else: none is done, and versions count as checked.
    checked: bool = False

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Request":
        """As a run keeps it, also one of another Trainyard."""
        return cls(**{field.name: kept[field.name] for field in fields(cls) if field.name in kept})

    def must_be_possible(self) -> None:
        """
        Raises:
            UsageError: it asks for a step or an executor that there is not.
        """
        steps.known(self.only)
        Executor.named(self.executor)

    @property
    def question(self) -> Question:
        """What has to be planned for it."""
        return Question(
            self.since,
            self.model,
            self.demand,
            self.why,
            self.registry,
            self.dataset,
            self.again,
            self.or_everything,
        )

    @property
    def skips_checks(self) -> bool:
        """Whether versions are made of what nobody has checked."""
        return not self.check and not self.checked

    def common_settings(self, root: Path) -> Settings:
        """Those of trainyard.toml, for what is about no model."""
        return self._told(settings_module.load(root))

    def settings_of(self, model: Model) -> Settings:
        """The model's, with what the call says in their place."""
        return self._told(model.settings)

    def _told(self, loaded: Settings) -> Settings:
        return loaded.model_copy(
            update={
                "registry": loaded.registry.model_copy(update={"uri": self.registry or loaded.registry.uri}),
                "dataset": loaded.dataset.model_copy(update={"uri": self.dataset or loaded.dataset.uri}),
            }
        )
