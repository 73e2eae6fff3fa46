"""Calls to Google Cloud Storage: retried where that can help, and failing with the errors of a registry."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import requests
from google.api_core import exceptions
from google.api_core.retry import Retry
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

from registry.errors import InfrastructureError, Refused, UsageError

# The address of an emulator; with it set no credentials are looked for, and none are sent.
EMULATOR_VARIABLE = "STORAGE_EMULATOR_HOST"
# For connecting, and between two bytes of an answer.
TIMEOUT_SECONDS = (10.0, 60.0)
# How long a call is tried again for.
PATIENCE_SECONDS = 60.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 10.0

_BUSY = {408, 429, 500, 502, 503, 504}
_BROKEN = (
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
    requests.exceptions.JSONDecodeError,  # an answer cut short
    DataCorruption,
)
Result = TypeVar("Result")


class Cloud:
    """One bucket, reached when it is first asked."""

    def __init__(self, name: str, patience: float = PATIENCE_SECONDS) -> None:
        self.name = name
        self._patience = patience
        self._bucket: storage.Bucket | None = None

    @property
    def bucket(self) -> storage.Bucket:
        if self._bucket is None:
            self._bucket = self._client().bucket(self.name)
        return self._bucket

    def call(self, work: Callable[[], Result], *known: type[exceptions.GoogleAPICallError]) -> Result:
        """What `work` returns; after a failure that may pass it is done again.

        Errors that are `known` leave as they are: the caller knows what they mean.

        Raises:
            Refused: this account may not do that.
            InfrastructureError: anything else that can go wrong with a bucket.
        """
        retry = Retry(
            predicate=may_pass,
            initial=_FIRST_PAUSE_SECONDS,
            maximum=_LONGEST_PAUSE_SECONDS,
            timeout=self._patience,
        )
        with self._errors(known):
            result: Result = retry(work)()
            return result

    def _client(self) -> storage.Client:
        # Or a thread asks for the bucket's own properties, which takes a permission more, for traces that nobody reads.
        os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
        if os.environ.get(EMULATOR_VARIABLE):
            emulated = storage.Client(project="emulator", credentials=AnonymousCredentials())
            emulated._http.trust_env = False  # it is on this machine: no proxy stands between
            return emulated
        try:
            return storage.Client()
        except DefaultCredentialsError:
            raise UsageError(
                f"No Google credentials were found for gs://{self.name}; run `gcloud auth application-default login`, "
                "or set GOOGLE_APPLICATION_CREDENTIALS."
            ) from None
        except OSError as error:  # no project is set, or a variable names no file
            raise UsageError(f"Google Cloud Storage can't be used: {error}") from None

    @contextmanager
    def _errors(self, known: tuple[type[exceptions.GoogleAPICallError], ...]) -> Iterator[None]:
        try:
            yield
        except known:
            raise
        except (exceptions.Forbidden, exceptions.Unauthorized) as error:
            raise Refused(
                f"The bucket gs://{self.name} refuses access: {_first_line(error)}. "
                "Grant this account the role Storage Object User (to read only: Storage Object Viewer) on the managed "
                "folder that is named, then run the same command again; infra/terraform/rights.tf says who needs which."
            ) from error
        except exceptions.RetryError as error:
            raise self._gave_up(error.cause or error) from error
        except (exceptions.GoogleAPIError, GoogleAuthError, requests.RequestException, *_OTHERS) as error:
            raise self._gave_up(error) from error

    def _gave_up(self, error: BaseException) -> InfrastructureError:
        return InfrastructureError(
            f"The bucket gs://{self.name} can't be used: {_first_line(error)}. "
            "Check the network and the bucket, then run the same command again."
        )


_OTHERS = (DataCorruption, InvalidResponse)


def may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed a little later."""
    if isinstance(error, exceptions.GoogleAPICallError):
        return error.code in _BUSY
    return isinstance(error, _BROKEN)


def _first_line(error: Any) -> str:
    message = getattr(error, "message", None) or str(error) or type(error).__name__
    return str(message).strip().splitlines()[0].rstrip(".")
