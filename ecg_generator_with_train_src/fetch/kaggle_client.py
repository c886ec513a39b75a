"""A competition at Kaggle: the client that asks for its files, and the pauses that the server asks for.

Kaggle's packages are imported by the functions that need them, so that `--help` does not wait for them.
"""

import contextlib
import functools
import sys
import threading
import time
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from tqdm import tqdm

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.fetch.kaggle_token import Token, checked_secret, find_token
from ecg_generator_with_train_src.fetch.transfers import MAX_CONNECTIONS, TIMEOUT_S

DEFAULT_PAUSE_S = 60.0  # used when a rate limit does not say how long it lasts
SHORTEST_PAUSE_S = 1.0  # used when a rate limit is said to be over already


class Competition:
    """A competition at Kaggle. The client is made when the first file is asked for."""

    def __init__(self, name: str, retry_seconds: int):
        self.name, self.retry_seconds = name, retry_seconds
        self.pause = Pause()

    @functools.cached_property
    def token(self) -> Token:
        """The token of this machine's user; InputError if there is none."""
        return find_token()

    @functools.cached_property
    def _client(self) -> Any:
        return make_kaggle_client(self.token)

    def connect(self) -> None:
        """Make the client now, in this thread; InputError without the package or a token."""
        try:
            self._client  # noqa: B018
        except ImportError as error:
            raise InputError(f"{error.name} is missing: run `pip install -r requirements.txt`") from error

    def open(self, remote: str) -> Any:
        """Ask for a file and return the streamed answer; raises what requests raises."""
        from kagglesdk.competitions.types.competition_api_service import ApiDownloadDataFileRequest

        request = ApiDownloadDataFileRequest()
        request.competition_name = self.name
        # kaggle 1.7 puts the name into the address, where the server expects its slashes quoted
        request.file_name = remote.replace("/", "%2F") if _is_old_client() else remote
        return self._client.competitions.competition_api_client.download_data_file(request)


def _is_old_client() -> bool:
    import kagglesdk

    return not hasattr(kagglesdk, "get_access_token_from_env")


def make_kaggle_client(token: Token) -> Any:
    """Return the client's transport alone: `import kaggle` would authenticate at once and may exit the process.

    Raises InputError if the client does not start or its own login cannot be renewed.
    """
    from kagglesdk import KaggleClient

    try:
        if token.secret is None:
            client = KaggleClient(api_token=_login_secret(token))
        elif token.username is None:
            client = KaggleClient(api_token=token.secret)
        else:
            client = KaggleClient(username=token.username, password=token.secret)
        client.__enter__()
    except InputError:
        raise
    except Exception as error:  # an unknown KAGGLE_API_ENVIRONMENT raises a plain Exception
        raise InputError(
            f"the Kaggle client does not start ({type(error).__name__}); unset KAGGLE_API_ENVIRONMENT"
        ) from None
    _set_timeouts(client)
    return client


def _login_secret(token: Token) -> str:
    """Return the access token of `kaggle auth login`, renewed if it has expired."""
    import requests
    from kagglesdk import KaggleClient, KaggleCredentials

    with KaggleClient() as client:
        credentials = KaggleCredentials.load(client)
        try:
            secret = credentials and credentials.get_access_token()
        except requests.RequestException as error:
            raise InputError(
                f"{token.origin}: the login cannot be renewed ({type(error).__name__}); run `kaggle auth login`"
            ) from None
    return checked_secret(secret, token.origin)


def _set_timeouts(client: Any) -> None:
    """Let no request wait for ever on a silent connection, as the client by itself would."""
    from requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):
        def send(self, *args: Any, **kwargs: Any) -> Any:
            kwargs["timeout"] = kwargs.get("timeout") or TIMEOUT_S
            return super().send(*args, **kwargs)

    session = client.http_client()._session
    for scheme in ("http://", "https://"):
        session.mount(scheme, Adapter(pool_maxsize=MAX_CONNECTIONS))


class Pause:
    """A pause that the server asked for; all threads keep it."""

    def __init__(self) -> None:
        self._until_s = 0.0
        self._lock = threading.Lock()

    def ask(self, seconds: float) -> None:
        """Let all threads rest for so long from now on."""
        with self._lock:
            until_s = time.monotonic() + seconds
            if until_s > self._until_s + 1:  # said once, although every thread is told to pause
                tqdm.write(f"Kaggle asks for a pause of {seconds:.0f} s (rate limit)", file=sys.stderr)
            self._until_s = max(self._until_s, until_s)

    def keep(self) -> None:
        """Sleep until the pause is over."""
        while (left_s := self._until_s - time.monotonic()) > 0:
            time.sleep(left_s)


def asked_pause_s(response: Any) -> float:
    """Return the seconds that an answer's Retry-After asks for, as a number or a date; DEFAULT_PAUSE_S without one."""
    text = response.headers.get("Retry-After", "")
    if text.strip().isdigit():
        return max(float(text), SHORTEST_PAUSE_S)
    with contextlib.suppress(ValueError, TypeError):
        left = parsedate_to_datetime(text) - datetime.now(timezone.utc)
        return max(left.total_seconds(), SHORTEST_PAUSE_S)
    return DEFAULT_PAUSE_S
