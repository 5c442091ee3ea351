"""Who this installation is to BigQuery."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import google.auth
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError
from google.auth.transport.requests import Request
from google.oauth2 import service_account

from server.warehouse.port import WarehouseError

_SCOPES = ["https://www.googleapis.com/auth/bigquery"]


def installation_credentials(*, endpoint: str | None, credentials_file: Path | None) -> Credentials:
    """Those of the key file, or application default credentials; none for an endpoint without TLS.

    Raises:
        WarehouseError: ACCESS_DENIED when there are none, or none that can be read.
    """
    if credentials_file is not None:
        return _from_file(credentials_file)
    if endpoint is not None and endpoint.startswith("http://"):
        # A token that anybody on the way can read would be anybody's; a test server asks for none.
        return AnonymousCredentials()  # type: ignore[no-untyped-call]
    try:
        credentials, _ = google.auth.default(scopes=_SCOPES)
    except GoogleAuthError:
        raise _denied(
            "there are no application default credentials; set CONVERGENCE_BIGQUERY_CREDENTIALS_FILE, or see "
            "Google's documentation of GOOGLE_APPLICATION_CREDENTIALS"
        ) from None
    return credentials


def _from_file(path: Path) -> Credentials:
    try:
        key = json.loads(path.read_bytes())
    except OSError as error:
        raise _denied(f"the key file {path} cannot be read: {error.strerror}") from None
    except ValueError:
        key = None
    if not isinstance(key, dict):
        raise _denied(f"{path} is not the JSON key file of a service account")
    return service_account_credentials(key)


def service_account_credentials(key: Mapping[str, Any], *, token_uri: str | None = None) -> Credentials:
    """Those of a service account's JSON key; `token_uri` is where its tokens are asked for, whatever the key says.

    Raises:
        WarehouseError: ACCESS_DENIED when it is not such a key; nothing of it is told.
    """
    from_key: Callable[..., Credentials] = service_account.Credentials.from_service_account_info
    try:
        return from_key({**key, **({"token_uri": token_uri} if token_uri else {})}, scopes=_SCOPES)
    except (ValueError, GoogleAuthError):
        raise _denied("the credential is not the JSON key of a service account") from None


def ask_for_token(key: Mapping[str, Any], *, token_uri: str, timeout: float) -> str | None:
    """Try a service account's key; None when a token was given, otherwise the code of the refusal, '' for none.

    Raises:
        WarehouseError: WAREHOUSE_BUSY when Google does not answer in `timeout` seconds, or not now.
    """
    credentials = service_account_credentials(key, token_uri=token_uri)
    try:
        credentials.refresh(partial(Request(), timeout=timeout))  # type: ignore[no-untyped-call]
    except TransportError:
        raise WarehouseError("WAREHOUSE_BUSY", "Google gives no tokens just now") from None
    except RefreshError as error:
        if error.retryable:
            raise WarehouseError("WAREHOUSE_BUSY", "Google gives no tokens just now") from None
        # The second argument is the body of the answer: RFC 6749, section 5.2.
        body = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], dict) else {}
        return str(body.get("error", ""))
    return None


def _denied(message: str) -> WarehouseError:
    return WarehouseError("ACCESS_DENIED", f"BigQuery cannot be used: {message}")
