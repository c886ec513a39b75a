"""Credentials of Google's own tools, and one line with a remedy for each of Google's errors."""

import os

import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.fetch.google_access import (
    gcloud_credentials,
    gcloud_token,
    google_errors,
    make_storage_client,
    transient_errors,
)
from ecg_generator_with_train_src.fetch.transfers import CannotGoOnError

exceptions = pytest.importorskip("google.api_core.exceptions")
auth_exceptions = pytest.importorskip("google.auth.exceptions")


def put_on_path(folder, monkeypatch, script: str) -> None:
    """A gcloud of this shell script, before any other."""
    gcloud = folder / "gcloud"
    gcloud.write_text(f"#!/bin/sh\n{script}\n")
    gcloud.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_a_plain_gcloud_login_is_enough(tmp_path, monkeypatch):
    put_on_path(tmp_path, monkeypatch, "[ \"$*\" = 'auth print-access-token' ] && echo ya29.token-of-gcloud")
    credentials = gcloud_credentials()
    credentials.refresh(None)
    assert (credentials.token, credentials.valid) == ("ya29.token-of-gcloud", True)


@pytest.mark.parametrize("script", ["exit 1", "exit 0", "echo token; exit 1"])
def test_a_gcloud_without_a_login_is_one_line(tmp_path, monkeypatch, script):
    put_on_path(tmp_path, monkeypatch, script)
    with pytest.raises(
        CannotGoOnError, match=r"^no Google credentials: run `gcloud auth .*give --anonymous$"
    ):
        gcloud_token()


def test_without_gcloud_the_line_is_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotGoOnError, match=r"^no Google credentials: run `gcloud auth"):
        gcloud_credentials()


def test_an_anonymous_client_has_no_credentials():
    credentials = make_storage_client(anonymous=True)._credentials
    assert type(credentials).__name__ == "AnonymousCredentials"


@pytest.mark.parametrize(
    ("raised", "line", "stops_all"),
    [
        (exceptions.NotFound("x"), "no such bucket or object; check --source", False),
        (exceptions.Unauthorized("x"), "not open to the public, or your login has ended; run", True),
        (auth_exceptions.InvalidOperation("x"), "not open to the public, or your login has ended; run", True),
        (
            exceptions.Forbidden("x"),
            "no permission; ask the bucket's owner for the role Storage Object",
            False,
        ),
        (auth_exceptions.RefreshError("x"), "the Google login has expired; run", True),
        (exceptions.ServiceUnavailable("x"), r"no answer .* for 7 s \(ServiceUnavailable\)", True),
        (exceptions.RetryError("x", ConnectionResetError()), r"for 7 s \(ConnectionResetError\)", True),
        (exceptions.BadRequest("x"), "Google Cloud Storage answers 400 BadRequest", False),
    ],
)
def test_each_error_of_google_is_one_line(raised, line, stops_all):
    with pytest.raises(InputError, match=f"^gs://a/b: .*{line}") as error, google_errors("gs://a/b", 7):
        raise raised
    assert isinstance(error.value, CannotGoOnError) == stops_all
    assert "\n" not in str(error.value)


def test_only_what_may_pass_is_transient():
    assert issubclass(exceptions.ServiceUnavailable, transient_errors())
    assert issubclass(exceptions.TooManyRequests, transient_errors())
    assert not issubclass(exceptions.Forbidden, transient_errors())
    assert not issubclass(OSError, transient_errors())
