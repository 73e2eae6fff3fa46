"""Keeps in memory what the configuration asks for: loads before it unloads, and lets requests finish."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType

import grpc
from tensorflow_serving.config import model_server_config_pb2 as config_pb2

from serving.model_server import config as configuration
from serving.model_server.errors import ServingError, as_serving_error, failed_precondition, invalid, not_found
from serving.model_server.model import SavedModel
from serving.model_server.versions import Served, State, Version, any_available

log = logging.getLogger(__name__)
Load = Callable[[str, int, str], SavedModel]  # model name, version, folder


@dataclass(frozen=True)
class Policies:
    """Flags of the manager; times in seconds."""

    load_threads: int = 1
    first_load_threads: int = 1  # before anything is answered: nobody is kept waiting then
    load_retries: int = 5
    retry_seconds: float = 60.0
    labels_for_unavailable: bool = False
    poll_seconds: float = 1.0  # 0: look once; negative: never again
    versions_always_present: bool = False


class Lease:
    """A version that cannot be unloaded while the `with` block runs."""

    __slots__ = ("_manager", "version")

    def __init__(self, manager: Manager, version: Version) -> None:
        self._manager = manager
        self.version = version

    @property
    def model(self) -> SavedModel:
        """The loaded model."""
        assert self.version.model is not None  # only an AVAILABLE version is leased
        return self.version.model

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._manager._give_back(self.version)


class Manager:
    """All models. Its lock is held for bookkeeping only, never while a model loads or answers."""

    def __init__(self, load: Load, policies: Policies) -> None:
        self._load = load
        self._policies = policies
        self._changed = threading.Condition(threading.Lock())
        self._served: dict[str, Served] = {}
        self._config: config_pb2.ModelServerConfig | None = None
        self._reloading = threading.Lock()
        self._scanning = threading.Lock()
        self._stopping = threading.Event()
        self._load_slots = threading.Semaphore(max(1, policies.load_threads))
        self._first_load_slots = threading.Semaphore(max(1, policies.load_threads, policies.first_load_threads))
        self._started = False
        self._unloaders = ThreadPoolExecutor(1, thread_name_prefix="unload")
        self._unreadable: set[str] = set()
        self._missing: dict[str, str] = {}

    # --- requests ---------------------------------------------------------------------------------------------------

    def lease(self, name: str, version: int | None = None, label: str | None = None) -> Lease:
        """The version a request asks for (neither: the latest). Raises ServingError when there is none."""
        with self._changed:
            served = self._served.get(name)
            if label is not None:
                if served is None or label not in served.labels:
                    raise invalid(f"Unrecognized servable version label: {label}")
                version = served.labels[label]
            chosen = None
            if served is not None:
                chosen = served.latest() if version is None else served.versions.get(version)
            if chosen is None or chosen.state is not State.AVAILABLE:
                wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
                raise not_found(f"Servable not found for request: {wanted}")
            chosen.in_flight += 1
        return Lease(self, chosen)

    def _give_back(self, version: Version) -> None:
        with self._changed:
            version.in_flight -= 1
            gone = version.in_flight == 0 and version.state is State.UNLOADING
        if gone:
            self._unloaders.submit(self._unload, version)

    def knows(self, name: str) -> bool:
        """Whether a model of this name is, or was, configured."""
        return name in self._served

    def status(self, name: str, number: int | None = None) -> list[tuple[int, State, ServingError | None]]:
        """(version, state, error) of one or all versions, the highest first. Raises ServingError when none."""
        with self._changed:
            served = self._served.get(name)
            versions = [(v.number, v.state, v.error) for v in served.versions.values()] if served else []
        if not versions:
            raise not_found(f"Could not find any versions of model {name}")
        if number is not None:
            versions = [row for row in versions if row[0] == number]
            if not versions:
                raise not_found(f"Could not find version {number} of model {name}")
        return sorted(versions, key=lambda row: row[0], reverse=True)

    # --- configuration ----------------------------------------------------------------------------------------------

    def reload(self, config: config_pb2.ModelServerConfig, give_up: Callable[[], bool] = lambda: False) -> None:
        """Serve what `config` says; returns when every model new in it answers and the labels are set.

        Raises ServingError: for a configuration that cannot be served, with nothing changed; for a new model of which
        no version could be loaded; for a label on a version that is not available, with all labels as they were.
        `give_up` is asked now and then and ends the waiting.
        """
        with self._reloading:
            configuration.check(config, self._config)
            if config.WhichOneof("config") is None:
                return  # an empty file: nothing to load, and nothing to take away
            if config != self._config:
                _warn_of_logging(config)
            known = {model.name for model in self._config.model_config_list.config} if self._config else set()
            self._config = config_pb2.ModelServerConfig.FromString(config.SerializeToString())
            self._scan()
            for model in config.model_config_list.config:
                if model.name not in known:
                    self._wait_available(model.name, give_up)
            self._started = True
            self._set_labels(config)

    def _wait_available(self, name: str, give_up: Callable[[], bool]) -> None:
        with self._changed:
            while not self._stopping.is_set() and not give_up():
                versions = [v for v in self._served[name].versions.values() if v.wanted]
                if versions and all(version.settled for version in versions):
                    if any_available(versions):
                        return
                    if all(version.state is State.END for version in versions):
                        raise ServingError(grpc.StatusCode.UNKNOWN, _not_available(versions))
                self._changed.wait(0.25)
        raise ServingError(grpc.StatusCode.CANCELLED, f"Stopped waiting for model {name} to become available.")

    def _set_labels(self, config: config_pb2.ModelServerConfig) -> None:
        with self._changed:
            for model in config.model_config_list.config:
                served = self._served[model.name]
                for label, number in model.version_labels.items():
                    version = served.versions.get(number)
                    if version is not None and version.state is State.AVAILABLE:
                        continue
                    moved = served.labels.get(label, number) != number
                    if moved or not self._policies.labels_for_unavailable:
                        raise failed_precondition(
                            f"Request to assign label to version {number} of model {model.name}, which is not "
                            "currently available for inference"
                        )
            labels = {model.name: dict(model.version_labels) for model in config.model_config_list.config}
            for name, served in self._served.items():
                served.labels = labels.get(name, {})

    # --- folders ----------------------------------------------------------------------------------------------------

    def watch(self) -> None:
        """Look for versions that came or went, every `poll_seconds`, until `stop`."""
        while self._policies.poll_seconds > 0 and not self._stopping.wait(self._policies.poll_seconds):
            try:
                self._scan()
            except Exception:
                log.exception("Looking for versions failed; trying again")

    def _scan(self) -> None:
        with self._scanning:
            config = self._config
            models = list(config.model_config_list.config) if config else []
            found = {model.name: self._wanted(model) for model in models}
            with self._changed:
                for name in found.keys() - self._served.keys():
                    self._served[name] = Served(name)
                for name, served in self._served.items():
                    paths = found.get(name, {})
                    if paths is None:
                        continue  # the folder could not be read: what is served stays
                    for version in served.want(paths):
                        # A thread each: one that waits to try again must not keep another from loading.
                        threading.Thread(target=self._load_version, args=(version,), daemon=True).start()
                self._unload_unwanted()

    def _wanted(self, model: config_pb2.ModelConfig) -> dict[int, str] | None:
        try:
            found = configuration.versions_on_disk(model.base_path)
        except OSError as error:
            if model.base_path not in self._unreadable:
                log.warning(
                    "Could not find base path %s for model %s: %s. %s",
                    model.base_path, model.name, error, self._what_follows(),
                )  # fmt: skip
            self._unreadable.add(model.base_path)
            return None
        self._unreadable.discard(model.base_path)
        wanted = {number: found[number] for number in configuration.wanted(model.model_version_policy, found)}
        self._warn_of_missing(model, set(wanted))
        if not wanted and self._policies.versions_always_present:
            return None
        return wanted

    def _warn_of_missing(self, model: config_pb2.ModelConfig, wanted: set[int]) -> None:
        """Says, once, that a folder holds no version, or not one that is asked for."""
        lacking = sorted(set(model.model_version_policy.specific.versions) - wanted)
        said = ""
        if not wanted:
            said = (
                f"No versions of servable {model.name} found under base path {model.base_path}. Did you forget to name "
                "your leaf directory as a number (eg. '/1/')?"
            )
            if os.path.exists(os.path.join(model.base_path, "saved_model.pb")):
                said += " This folder is a version itself: name the folder above it, and give it a number for a name."
        elif lacking:
            said = (
                f"Version {lacking[0]} of servable {model.name}, which was requested to be served as a 'specific' "
                "version in the servable's version policy, was not found in the file system"
            )
        if said and said != self._missing.get(model.name):
            log.warning("%s%s", said, "" if wanted else f" {self._what_follows()}")
        self._missing[model.name] = said

    def _what_follows(self) -> str:
        return "It is looked for again." if self._started else "The server waits for it, and answers nobody until then."

    # --- loading and unloading --------------------------------------------------------------------------------------

    def _load_version(self, version: Version) -> None:
        error: ServingError | None = None
        for attempt in range(1 + max(0, self._policies.load_retries)):
            if attempt and self._stopping.wait(self._policies.retry_seconds):
                break
            with self._changed:
                if not version.wanted or self._stopping.is_set():
                    break
                version.state = State.LOADING
                self._changed.notify_all()
            try:
                with self._load_slots if self._started else self._first_load_slots:
                    log.info("Loading servable version %s", _named(version))
                    started = time.monotonic()
                    model = self._load(version.model_name, version.number, version.path)
            except Exception as problem:
                error = as_serving_error(problem)
                log.error("Loading %s version %s failed: %s", version.model_name, version.number, error)
                left = max(0, self._policies.load_retries) - attempt
                if left:
                    log.info(
                        "%s is tried again in %g s, %d times at most",
                        _named(version),
                        self._policies.retry_seconds,
                        left,
                    )
                with self._changed:
                    version.failures += 1
                    self._changed.notify_all()
                continue
            # In the original's words, up to the time: operators search for them.
            log.info("Successfully loaded servable version %s in %.2f s", _named(version), time.monotonic() - started)
            with self._changed:
                version.model, version.error, version.state = model, None, State.AVAILABLE
                self._unload_unwanted()
                self._changed.notify_all()
            return
        with self._changed:
            version.state, version.error = State.END, error
            self._changed.notify_all()

    def _unload_unwanted(self) -> None:
        """Start to unload what may go. The lock is held."""
        for served in self._served.values():
            for version in served.to_unload():
                version.state = State.UNLOADING
                if version.in_flight == 0:
                    self._unloaders.submit(self._unload, version)

    def _unload(self, version: Version) -> None:
        model, version.model = version.model, None
        if model is not None:
            model.close()
        with self._changed:
            version.state = State.END
            self._changed.notify_all()
        log.info("Done unloading servable version %s", _named(version))

    def stop(self) -> None:
        """End all waiting and loading; models stay until the process ends."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()


def _warn_of_logging(config: config_pb2.ModelServerConfig) -> None:
    for model in config.model_config_list.config:
        if model.HasField("logging_config"):
            log.warning("logging_config of model %s is without effect: requests are not logged.", model.name)


def _named(version: Version) -> str:
    return f"{{name: {version.model_name} version: {version.number}}}"


def _not_available(versions: list[Version]) -> str:
    details = ", ".join(f"{_named(version)} due to error: {version.error}" for version in versions)
    return f"1 servable(s) did not become available: {{{details}}}"
