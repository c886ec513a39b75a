"""Access to Google Cloud Storage: the client, its credentials, and its errors in one line each.

Google's packages are imported by the functions that need them, so that `--help` does not wait for them.
"""

import contextlib
import functools
import subprocess
import warnings
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.fetch.transfers import CannotGoOnError

LOGIN = "run `gcloud auth application-default login`"
TOKEN_LIFETIME = timedelta(minutes=30)  # gcloud's tokens live for an hour; they are renewed well before that


def make_storage_client(anonymous: bool) -> Any:
    """Return a storage client with application default credentials, else with those of `gcloud auth login`.

    Raises InputError without credentials or without the package google-cloud-storage.
    """
    warnings.filterwarnings("ignore", module=r"google\.")  # it warns of quota projects and old Pythons
    try:
        from google.auth.credentials import AnonymousCredentials
        from google.auth.exceptions import DefaultCredentialsError
        from google.cloud import storage
    except ImportError as error:
        raise InputError(f"{error.name} is missing: run `pip install -r requirements.txt`") from error
    if anonymous:
        return storage.Client(project=None, credentials=AnonymousCredentials())
    try:
        return storage.Client(project=None)
    except DefaultCredentialsError:
        return storage.Client(project=None, credentials=gcloud_credentials())


def gcloud_credentials() -> Any:
    """Return the credentials of `gcloud auth login`, which gcloud itself renews; InputError if it has none."""
    from google.oauth2.credentials import Credentials

    def new_token(_request: Any, scopes: Any) -> tuple[str, datetime]:
        return gcloud_token(), datetime.now(timezone.utc).replace(tzinfo=None) + TOKEN_LIFETIME

    gcloud_token()
    return Credentials(token=None, refresh_handler=new_token)


def gcloud_token() -> str:
    """Return an access token of `gcloud auth login`; CannotGoOnError without gcloud or without a login."""
    command = ["gcloud", "auth", "print-access-token"]
    try:
        token = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        token = ""
    if not token:
        raise CannotGoOnError(f"no Google credentials: {LOGIN}; for a public bucket give --anonymous")
    return token


@contextlib.contextmanager
def google_errors(what: str, retry_seconds: int) -> Iterator[None]:
    """Turn what the Google client raises into one line that names `what` and the remedy."""
    from google.api_core.exceptions import Forbidden, GoogleAPICallError, NotFound, Unauthorized
    from google.auth.exceptions import InvalidOperation, RefreshError

    try:
        yield
    except NotFound as error:
        raise InputError(f"{what}: no such bucket or object; check --source") from error
    except (Unauthorized, InvalidOperation) as error:  # anonymous clients raise InvalidOperation when refused
        raise CannotGoOnError(f"{what}: not open to the public, or your login has ended; {LOGIN}") from error
    except Forbidden as error:
        raise InputError(
            f"{what}: no permission; ask the bucket's owner for the role Storage Object Viewer, or {LOGIN} "
            "with an account that has it"
        ) from error
    except RefreshError as error:
        raise CannotGoOnError(f"{what}: the Google login has expired; {LOGIN}") from error
    except transient_errors() as error:
        cause = type(getattr(error, "cause", None) or error).__name__  # a RetryError wraps its cause
        raise CannotGoOnError(
            f"{what}: no answer from Google Cloud Storage for {retry_seconds} s ({cause}); "
            "check the network, then run again to go on"
        ) from error
    except GoogleAPICallError as error:
        raise InputError(
            f"{what}: Google Cloud Storage answers {error.code} {type(error).__name__}"
        ) from error


@functools.cache
def transient_errors() -> tuple[type[Exception], ...]:
    """Return the errors that may be gone at the next try."""
    import requests
    import urllib3
    from google.api_core import exceptions
    from google.auth.exceptions import TransportError

    return (
        exceptions.ServerError,
        exceptions.TooManyRequests,
        exceptions.RetryError,
        TransportError,
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
        urllib3.exceptions.HTTPError,
        ConnectionError,
    )
