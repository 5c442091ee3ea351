"""As whom a step speaks to AWS: the installation, a role that the pipeline's file names, or the tenant's credential."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.config import Config
from botocore.loaders import create_loader
from botocore.session import Session, get_session

from processors.base import ProcessorError

_CONNECT_SECONDS = 10
_READ_SECONDS = 20
_TRIES = 5
# A role's session that was assumed by another role lasts an hour at most.
_SESSION_SECONDS = 3_600
_RENEWED_AFTER = 2_700.0
# What AWS's services look like, which is part of the library: reading it anew would take each step a tenth of a second.
_MODELS = create_loader(os.environ.get("AWS_DATA_PATH"))


@dataclass(frozen=True, slots=True)
class Role:
    """A role that is assumed."""

    arn: str
    session_name: str
    """The tenant's id, which a role's trust policy can demand (`sts:RoleSessionName`)."""
    external_id: str | None = None
    is_tenants: bool = False
    """Named by the tenant: must not be one of the installation's own account, which trusts it whoever asks."""


class Identity:
    """Makes S3 clients for one step; a role's session is renewed before it ends."""

    def __init__(
        self,
        *,
        region: str | None,
        endpoint: str | None,
        role: Role | None = None,
        access_key: Mapping[str, str] | None = None,
    ) -> None:
        self._region = region
        self._endpoint = endpoint
        self._role = role
        self._access_key = access_key
        self._made: Any = None
        self._made_at = 0.0

    @property
    def s3(self) -> Any:
        """An S3 client that can be used now. Raises ProcessorError, ClientError, BotoCoreError."""
        is_old = self._role is not None and time.monotonic() - self._made_at > _RENEWED_AFTER
        if self._made is None or is_old:
            self._made = self._client("s3", self._keys(), endpoint_url=self._endpoint)
            self._made_at = time.monotonic()
        return self._made

    def _client(self, service: str, keys: Mapping[str, str], *, endpoint_url: str | None = None) -> Any:
        """A client with those keys, or without any as the installation, which is looked up anew each time."""
        session: Session = get_session()
        session.register_component("data_loader", _MODELS)
        return session.create_client(
            service, region_name=self._region, endpoint_url=endpoint_url, config=_config(), **keys
        )

    def _keys(self) -> Mapping[str, str]:
        if self._role is not None:
            return self._assumed(self._role)
        if self._access_key is None:
            return {}
        return {
            "aws_access_key_id": self._access_key["access_key_id"],
            "aws_secret_access_key": self._access_key["secret_access_key"],
        }

    def _assumed(self, role: Role) -> Mapping[str, str]:
        sts = self._client("sts", {})
        if role.is_tenants and role.arn.split(":")[4] == sts.get_caller_identity()["Account"]:
            raise ProcessorError("the credential's role belongs to the installation's own account")
        external = {"ExternalId": role.external_id} if role.external_id else {}
        keys = sts.assume_role(
            RoleArn=role.arn, RoleSessionName=role.session_name, DurationSeconds=_SESSION_SECONDS, **external
        )["Credentials"]
        return {
            "aws_access_key_id": keys["AccessKeyId"],
            "aws_secret_access_key": keys["SecretAccessKey"],
            "aws_session_token": keys["SessionToken"],
        }


def _config() -> Config:
    return Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"mode": "standard", "max_attempts": _TRIES},
    )
