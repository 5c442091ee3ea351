"""Asks cloud providers whether they know a credential.

Their libraries are imported at the first question: most servers are never asked one.
"""

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from server.credential_forms import AccessKey, Role, Secret, ServiceAccountKey, Webhook
from server.domain.webhook import WebhookHosts, host_of
from server.errors import ProviderUnavailable
from server.warehouse.port import WarehouseError

_AT_ONCE = 4
_PATIENCE_SECONDS = 45
_TIMEOUT_SECONDS = 10
# Of what a provider says only its code is told: the rest may repeat anything of the request.
_CODE = re.compile(r"[A-Za-z_.]{1,64}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a provider says of a credential."""

    principal: str = ""
    """Whom the provider takes it for; '' when it was refused."""
    refusal: str = ""
    """Why it was refused; '' when it was accepted."""
    reservation: str = ""
    """What was not tried, so that nobody takes the answer for more than it is; '' when the provider was asked."""

    @property
    def status(self) -> str:
        """What is remembered of it."""
        if self.refusal:
            return "REFUSED"
        return "FORM_ONLY" if self.reservation else "ACCEPTED"


class _OwnAccount(Exception):
    """A tenant names a role of the installation's."""


class Providers:
    """Google's token service and AWS's STS; Slack has nothing to ask a webhook but to post."""

    def __init__(
        self, *, google_token_uri: str, aws_region: str, aws_sts_endpoint: str | None, webhook_hosts: WebhookHosts
    ) -> None:
        self._google_token_uri = google_token_uri
        self._aws_region = aws_region
        self._aws_sts_endpoint = aws_sts_endpoint
        self._webhook_hosts = webhook_hosts
        # Of their own: a provider that does not answer keeps nobody waiting but those who ask providers.
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="providers")

    async def check(self, tenant_id: str, secret: Secret) -> Verdict:
        """Try a secret. Raises ProviderUnavailable."""
        asking = asyncio.get_running_loop().run_in_executor(self._threads, self._check, tenant_id, secret)
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                return await asking
        except TimeoutError:
            raise ProviderUnavailable from None

    def close(self) -> None:
        """Ask nothing any more; what is being asked ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _check(self, tenant_id: str, secret: Secret) -> Verdict:
        match secret:
            case ServiceAccountKey():
                return self._check_google(secret)
            case AccessKey():
                return self._check_access_key(secret)
            case Role():
                return self._check_role(secret, tenant_id)
            case Webhook():
                return self._check_webhook(secret)

    def _check_google(self, key: ServiceAccountKey) -> Verdict:
        from server.warehouse.bigquery.credentials import ask_for_token  # noqa: PLC0415

        try:
            code = ask_for_token(key.model_dump(), token_uri=self._google_token_uri, timeout=_TIMEOUT_SECONDS)
        except WarehouseError:
            raise ProviderUnavailable from None
        return Verdict(principal=key.client_email) if code is None else _refused("Google", code)

    def _check_access_key(self, key: AccessKey) -> Verdict:
        return self._ask_aws(
            lambda sts: sts.get_caller_identity()["Arn"],
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret_access_key,
        )

    def _check_role(self, role: Role, tenant_id: str) -> Verdict:
        """The session's name is the tenant's id, which a role's trust policy can demand (`sts:RoleSessionName`)."""

        def assumed(sts: Any) -> str:
            # Roles there trust the installation, whoever asks it: they are the operator's.
            if role.role_arn.split(":")[4] == sts.get_caller_identity()["Account"]:
                raise _OwnAccount
            answer = sts.assume_role(
                RoleArn=role.role_arn, RoleSessionName=tenant_id, ExternalId=role.external_id, DurationSeconds=900
            )
            return str(answer["AssumedRoleUser"]["Arn"])

        return self._ask_aws(assumed)

    def _check_webhook(self, webhook: Webhook) -> Verdict:
        """Slack tells whether a webhook works only by posting a message."""
        host = host_of(webhook.url)
        if not self._webhook_hosts.allow(webhook.url):
            return Verdict(refusal=f"this installation does not post to {host}")
        return Verdict(principal=host, reservation="only its form was checked: whether it works, a message will show")

    def _ask_aws(self, question: Callable[[Any], str], **identity: str) -> Verdict:
        """As that identity, or without one as the installation."""
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError  # noqa: PLC0415

        config = Config(connect_timeout=_TIMEOUT_SECONDS, read_timeout=_TIMEOUT_SECONDS, retries={"max_attempts": 2})
        # A session of its own: the default one may not be used by several threads.
        session = boto3.Session(region_name=self._aws_region, **identity)
        try:
            return Verdict(
                principal=question(session.client("sts", endpoint_url=self._aws_sts_endpoint, config=config))
            )
        except _OwnAccount:
            return Verdict(refusal="the role belongs to the installation's own account")
        except NoCredentialsError:
            return Verdict(refusal="this installation has no identity at AWS that could assume a role")
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
                raise ProviderUnavailable from None
            return _refused("AWS", error.response["Error"].get("Code", ""))
        except BotoCoreError:
            raise ProviderUnavailable from None


def _refused(who: str, code: str) -> Verdict:
    told = f": {code}" if _CODE.fullmatch(code) else ""
    return Verdict(refusal=f"{who} refuses it{told}")
