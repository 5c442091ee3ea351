"""`convergence credentials`, and the end of a tenant: what is sent, and what is shown."""

import json
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from convergence.v1.run_pb2 import Run
from convergence.v1.tenant_service_pb2 import (
    CheckCredentialResponse,
    Credential,
    DeleteCredentialResponse,
    ListCredentialsResponse,
    Tenant,
)

TENANT = "acme_corp"
SECRET = '{"role_arn": "arn:aws:iam::123456789012:role/reader", "external_id": "acmé"}'


def a_credential(**fields):
    stored = Timestamp(seconds=1_763_458_200)
    return Credential(
        tenant_id=TENANT,
        name="role",
        kind=Credential.AWS_ROLE,
        version=2,
        fingerprint="f1",
        created_at=stored,
        **fields,
    )


async def test_a_secret_comes_from_a_file_and_is_not_shown(cli, peer, tmp_path: Path):
    (tmp_path / "role.json").write_text(SECRET)
    peer.answers["PutCredential"] = a_credential()

    ended = await cli(
        *("credentials", "put", "role", str(tmp_path / "role.json"), "--kind", "aws-role", "--tenant", TENANT),
        *("--request-id", "once"),
    )

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[1].split()[:4] == ["role", "AWS_ROLE", "2", "f1"]
    assert "acmé" not in ended.out
    (request,) = peer.requests["PutCredential"]
    assert (request.tenant_id, request.name, request.kind) == (TENANT, "role", Credential.AWS_ROLE)
    assert (request.secret, request.request_id) == (SECRET, "once")


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (
            b"{}",
            "aws",
            "--kind: 'aws' is no kind; write one of gcp-service-account, aws-access-key, aws-role, slack-webhook",
        ),
        (b"\xff", "aws-role", "FILE: the secret is JSON in UTF-8"),
        (None, "aws-role", "No such file"),
    ],
)
async def test_what_cannot_be_sent(cli, peer, tmp_path: Path, content, kind, words):
    if content is not None:
        (tmp_path / "role.json").write_bytes(content)

    ended = await cli("credentials", "put", "role", str(tmp_path / "role.json"), "--kind", kind)

    assert ended.code == 2
    assert words in " ".join(ended.err.replace("│", " ").split())
    assert "PutCredential" not in peer.requests


async def test_no_more_of_a_file_is_read_than_the_server_takes(cli, peer, tmp_path: Path):
    (tmp_path / "role.json").write_bytes(b"x" * 1_000_000)
    peer.answers["PutCredential"] = a_credential()

    await cli("credentials", "put", "role", str(tmp_path / "role.json"), "--kind", "aws-role")

    assert len(peer.requests["PutCredential"][0].secret) == 65_537


async def test_credentials_are_listed(cli, peer):
    checked = a_credential(check_status="REFUSED", checked_at=Timestamp(seconds=1_763_458_200))
    peer.answers["ListCredentials"] = ListCredentialsResponse(credentials=[a_credential(), checked])

    listed = await cli("credentials", "list", "--tenant", TENANT)
    as_json = await cli("credentials", "list", "--json")

    assert listed.out.splitlines()[0].split()[:3] == ["NAME", "KIND", "VERSION"]
    assert "never" in listed.out.splitlines()[1]
    assert "REFUSED 2025-11-18" in listed.out.splitlines()[2]
    assert [item["check_status"] for item in json.loads(as_json.out)["credentials"]] == ["", "REFUSED"]
    assert [request.tenant_id for request in peer.requests["ListCredentials"]] == [TENANT, ""]


async def test_a_refused_credential_is_a_failure(cli, peer):
    peer.answers["CheckCredential"] = CheckCredentialResponse(accepted=True, principal="arn:aws:iam::1:user/me")
    accepted = await cli("credentials", "check", "role", "--tenant", TENANT)
    peer.answers["CheckCredential"] = CheckCredentialResponse(message="AWS refuses it: InvalidClientTokenId")
    refused = await cli("credentials", "check", "role", "--tenant", TENANT)

    assert (accepted.code, "arn:aws:iam::1:user/me" in accepted.out) == (0, True)
    assert (refused.code, "AWS refuses it: InvalidClientTokenId" in refused.out) == (1, True)


async def test_a_credential_is_deleted(cli, peer):
    peer.answers["DeleteCredential"] = DeleteCredentialResponse()

    ended = await cli("credentials", "delete", "role", "--tenant", TENANT)

    assert (ended.code, ended.out) == (0, "The credential role is destroyed.\n")
    assert peer.requests["DeleteCredential"][0].name == "role"


async def test_a_tenant_ends_with_its_dataset(cli, peer):
    peer.answers["OffboardTenant"] = Tenant(
        tenant_id=TENANT, state=Tenant.OFFBOARDED, dataset=TENANT, offboarding_run="run-1"
    )
    peer.answers["GetRun"] = Run(tenant_id=TENANT, pipeline_logging_id="run-1", status=Run.SUCCESS)

    ended = await cli("tenants", "offboard", TENANT, "--delete-dataset", TENANT, "--no-wait")
    kept = await cli("tenants", "offboard", TENANT)

    assert (ended.code, kept.code) == (0, 0)
    assert "OFFBOARDED" in ended.out
    assert "run-1" in ended.out
    assert [request.confirm_delete_dataset for request in peer.requests["OffboardTenant"]] == [TENANT, ""]
    assert "GetRun" not in peer.requests
