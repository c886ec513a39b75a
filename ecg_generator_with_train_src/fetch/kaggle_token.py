"""The Kaggle token: where it is looked for, and what it must look like. No message and no file ever shows it."""

import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecg_generator_with_train_src.common.errors import InputError

SETTINGS_PAGE = "https://www.kaggle.com/settings/api"
NEEDS_NEWER_PYTHON = "access tokens need Python 3.11 or newer"  # kaggle 1.7, the newest for 3.10, has none


@dataclass(frozen=True)
class Token:
    """What the client authenticates with, and where it was found. As text it shows only its origin."""

    origin: str
    username: str | None = None  # None: the secret is an access token
    secret: str | None = None  # None: the client itself keeps it, since `kaggle auth login`

    def __repr__(self) -> str:
        return f"Token({self.origin})"


def find_token() -> Token:
    """Look for a token where Kaggle's client looks, in the same order.

    Raises InputError with the remedy if there is none or if what is there is no token.
    """
    import kagglesdk

    newer = hasattr(kagglesdk, "get_access_token_from_env")  # kaggle 1.8 and newer
    access_files = [Path.home() / ".kaggle" / name for name in ("access_token", "access_token.txt")]
    if newer:
        token = _find_access_token(kagglesdk.get_access_token_from_env, access_files)
        if token is not None:
            return token
    elif os.environ.get("KAGGLE_API_TOKEN"):
        raise InputError(f"KAGGLE_API_TOKEN: {NEEDS_NEWER_PYTHON}; unset it and use ~/.kaggle/kaggle.json")
    token = find_api_key()
    if token is not None:
        return token
    login = Path.home() / ".kaggle" / "credentials.json"
    if newer and login.is_file():
        _warn_if_readable(login)
        return Token(str(login))
    if any(path.is_file() for path in access_files):
        raise InputError(f"{access_files[0]}: {NEEDS_NEWER_PYTHON}; use ~/.kaggle/kaggle.json")
    raise InputError(
        f"no Kaggle token: make one at {SETTINGS_PAGE} and save it as ~/.kaggle/kaggle.json, or set KAGGLE_USERNAME "
        "and KAGGLE_KEY, or KAGGLE_API_TOKEN (Python 3.11 or newer)"
    )


def _find_access_token(look: Callable, files: list[Path]) -> Token | None:
    try:
        secret, name = look()
    except (OSError, ValueError) as error:  # a file cannot be read, or KAGGLE_API_TOKEN can be no path
        raise InputError(f"the Kaggle access token cannot be read ({type(error).__name__})") from error
    if secret is None:
        return None
    origin = "KAGGLE_API_TOKEN"
    if name == "access_token":
        origin = str(next(path for path in files if path.is_file()))
        _warn_if_readable(Path(origin))
    return Token(origin, None, checked_secret(secret, origin))


def find_api_key() -> Token | None:
    """Return username and key, each from the environment, else from kaggle.json; None if neither has any.

    Raises InputError if only half of the pair is there or kaggle.json is malformed.
    """
    path = config_folder() / "kaggle.json"
    username, key = os.environ.get("KAGGLE_USERNAME"), os.environ.get("KAGGLE_KEY")
    if username and key:
        origin = "KAGGLE_USERNAME and KAGGLE_KEY"
        return Token(origin, checked_secret(username, "KAGGLE_USERNAME"), checked_secret(key, "KAGGLE_KEY"))
    if not path.is_file():
        if username or key:
            lacking = "KAGGLE_KEY" if username else "KAGGLE_USERNAME"
            raise InputError(f"{lacking} is not set; set both KAGGLE_USERNAME and KAGGLE_KEY")
        return None
    _warn_if_readable(path)
    try:
        content = json.loads(
            path.read_bytes()
        )  # tells UTF-8, UTF-16 and their marks apart, as Windows writes them
        username, key = username or content["username"], key or content["key"]
    except (ValueError, KeyError, TypeError, RecursionError, OSError):
        raise InputError(_malformed(str(path))) from None  # the cause might quote the file
    return Token(str(path), checked_secret(username, str(path)), checked_secret(key, str(path)))


def config_folder() -> Path:
    """Return the folder in which Kaggle's client looks for kaggle.json."""
    if os.environ.get("KAGGLE_CONFIG_DIR"):
        return Path(os.environ["KAGGLE_CONFIG_DIR"])
    folder = Path.home() / ".kaggle"
    if not folder.is_dir() and sys.platform.startswith("linux"):
        return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "kaggle"
    return folder


def checked_secret(text: Any, origin: str) -> str:
    """Return the text without surrounding white space.

    Raises InputError, which names `origin`, if the text cannot stand in an HTTP header; the error of the HTTP library
    would quote it.
    """
    text = text.strip() if isinstance(text, str) else ""
    if not re.fullmatch(r"[!-~]+", text):
        raise InputError(_malformed(origin))
    return text


def _malformed(origin: str) -> str:
    form = '{"username": …, "key": …}'
    return f"{origin}: not a Kaggle token (kaggle.json holds {form}); make a new one at {SETTINGS_PAGE}"


def _warn_if_readable(path: Path) -> None:
    if os.name == "posix" and path.stat().st_mode & 0o077:
        print(f"warning: {path} can be read by others; run `chmod 600 {path}`", file=sys.stderr)
