"""Who this installation is to BigQuery."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import google.auth
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import GoogleAuthError
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


def service_account_credentials(key: Mapping[str, Any]) -> Credentials:
    """Those of a service account's JSON key, such as a tenant's own.

    Raises:
        WarehouseError: ACCESS_DENIED when it is not such a key; nothing of it is told.
    """
    from_key: Callable[..., Credentials] = service_account.Credentials.from_service_account_info
    try:
        return from_key(dict(key), scopes=_SCOPES)
    except (ValueError, GoogleAuthError):
        raise _denied("the credential is not the JSON key of a service account") from None


def _denied(message: str) -> WarehouseError:
    return WarehouseError("ACCESS_DENIED", f"BigQuery cannot be used: {message}")
