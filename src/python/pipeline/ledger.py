"""What became of each model's pipelines: kept beside its versions in the registry, where every build server looks.

`<registry>/<model>/pipeline/state.json` says at which commit the model's pipeline last ended well, which is what the
next plan compares with; how the latest one ended since, if it did not; and whether one is under way.
"""

import os
import platform
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from cli import Conflict, Exit, InfrastructureError, TrainyardError, processes

# In a folder of its own: in Cloud Storage rights are given by folder, and who plans may read this and nothing else.
KEY = "pipeline/state.json"
_TRIES = 20
# Who carries a pipeline out says so this often; after so long a silence it is taken for dead.
BEAT_SECONDS = 60.0
SILENCE_SECONDS = 600.0
# Ends that the same files come to again: the model's or the data's own.
_FINAL = (Exit.GATE, Exit.DATA)


class _Part(BaseModel):
    # What a newer Trainyard keeps besides is kept.
    model_config = ConfigDict(extra="allow", frozen=True)


class Ended(_Part):
    """A pipeline that has ended."""

    # None where files were not committed.
    commit: str | None
    pipeline: str
    exit_code: int
    run: str = ""
    # The version that it made, if it got so far.
    version: int | None = None
    at: str = ""

    @property
    def final(self) -> bool:
        """Whether it would end no otherwise if it was begun again."""
        return self.exit_code in _FINAL


class UnderWay(_Part):
    """A pipeline that is being carried out."""

    commit: str | None
    pipeline: str
    run: str
    host: str
    pid: int
    # UTC, ISO 8601: when it was last heard of.
    beat: str

    @property
    def alive(self) -> bool:
        if (datetime.now(UTC) - _time(self.beat)).total_seconds() > SILENCE_SECONDS:
            return False
        return self.host != platform.node() or processes.exists(self.pid)


class Entry(_Part):
    """What the object holds."""

    # The latest that ended well, and the latest since then that did not.
    done: Ended | None = None
    failed: Ended | None = None
    under_way: UnderWay | None = None


class Ledger:
    """One model's part.

    Raises:
        TrainyardError: its registry can't be opened.
    """

    def __init__(self, registry: str, model: str) -> None:
        from registry import Registry

        self._store = Registry.open(registry, model).store

    def read(self) -> Entry:
        """What is known; nothing of a model that was never carried out.

        Raises:
            InfrastructureError: the registry can't be read.
        """
        return self._read()[0]

    def begin(self, pipeline: str, commit: str | None, run: str) -> None:
        """Tells others that `pipeline` is being carried out by this process."""
        here = UnderWay(commit=commit, pipeline=pipeline, run=run, host=platform.node(), pid=os.getpid(), beat=_now())
        self._change(lambda entry: entry.model_copy(update={"under_way": here}))

    def end(self, ended: Ended) -> None:
        """Tells how a pipeline ended, and that it is no longer under way."""
        ended = ended.model_copy(update={"at": _now()})

        def after(entry: Entry) -> Entry:
            mine = entry.under_way is not None and entry.under_way.run == ended.run
            change: dict[str, object] = {"under_way": None if mine else entry.under_way}
            # With files that were not committed nothing can be compared later.
            if ended.commit:
                change |= {"done": ended, "failed": None} if ended.exit_code == Exit.OK else {"failed": ended}
            return entry.model_copy(update=change)

        self._change(after)

    def leave(self, run: str) -> None:
        """Tells that `run` is not being carried out any more, though it has not ended."""
        self._change(
            lambda entry: (
                entry.model_copy(update={"under_way": None})
                if entry.under_way and entry.under_way.run == run
                else entry
            )
        )

    @contextmanager
    def beating(self, pipeline: str, commit: str | None, run: str, say: Callable[[str], None]) -> Iterator[None]:
        """Within it, the pipeline is told to be under way, from time to time anew.

        That the registry takes no word of it changes nothing of how the pipeline ends.
        """
        stopped = threading.Event()

        def beat() -> None:
            while not stopped.wait(BEAT_SECONDS):
                with suppress(TrainyardError, OSError):
                    self.begin(pipeline, commit, run)

        try:
            self.begin(pipeline, commit, run)
        except (TrainyardError, OSError) as error:
            say(f"That {pipeline} is under way could not be recorded for others: {error}")
        heart = threading.Thread(target=beat, daemon=True)
        heart.start()
        try:
            yield
        finally:
            stopped.set()
            heart.join()

    def _read(self) -> tuple[Entry, int]:
        from registry.errors import Missing

        try:
            data, generation = self._store.read(KEY)
        except Missing:
            return Entry(), 0
        try:
            return Entry.model_validate_json(data), generation
        except ValidationError:
            # Whoever reads it plans by the revision that it was called with; the next to end writes it anew.
            return Entry(), generation

    def _change(self, decide: Callable[[Entry], Entry]) -> None:
        for _ in range(_TRIES):
            entry, generation = self._read()
            changed = decide(entry)
            if changed == entry:
                return
            data = changed.model_dump_json(indent=1).encode() + b"\n"
            try:
                self._store.write(KEY, data, if_generation=generation)
            except Conflict:
                continue
            return
        raise InfrastructureError(f"{self._store.uri(KEY)} keeps being changed by others; try again.")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
