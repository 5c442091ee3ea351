"""The master key on a running installation: made, replaced, lost."""

import asyncio
import json
import os
import re
import stat
import sys
from pathlib import Path

import pytest

from convergence.v1.tenant_service_pb2 import Credential
from tests.e2e.service import Service, make_checkout, onboard

SECRET = json.dumps({"role_arn": "arn:aws:iam::123456789012:role/reader", "external_id": "acme-7f31"})
KEY_ID = re.compile("mk_[0-9a-f]{16}")


async def command(checkout: Path, *arguments: str, **settings: str) -> tuple[int | None, str]:
    """`python -m server.master_key`; its exit code and all that it says."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CONVERGENCE_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "server.master_key", *arguments),
        cwd=checkout,
        env=environment | {f"CONVERGENCE_{name.upper()}": value for name, value in settings.items()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def stored(service: Service, key: str, name: str = "role") -> Credential:
    async with service.client(key) as client:
        return await client.put_credential(name, Credential.AWS_ROLE, SECRET)


async def opens(service: Service, key: str, name: str = "role") -> bool:
    """Whether the server opens the secret, of which the provider's answer tells."""
    async with service.client(key) as client:
        return "no identity at AWS" in (await client.check_credential(name)).message


@pytest.fixture(autouse=True)
def _nobody_at_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """The installation has no identity there, and asks no metadata service for one."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


async def test_the_key_is_replaced_while_the_server_runs(own_service: Service) -> None:
    checkout, file = own_service.checkout, own_service.checkout / "var" / "master_key"
    key = await onboard(own_service, "acme_corp")
    assert not file.exists()
    await stored(own_service, key)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    first, old = file.read_text(), (await command(checkout, "show"))[1]
    assert re.fullmatch(r"mk_[0-9a-f]{16}  1 secrets, in use\n", old)
    code, said = await command(checkout, "add")
    assert code == 0, said
    # Not in use yet: another machine has not got it.
    await stored(own_service, key, "second")
    shown = (await command(checkout, "show"))[1].splitlines()
    assert [line.split("  ")[1] for line in shown] == ["2 secrets, in use", "0 secrets"]
    assert (await command(checkout, "retire"))[1] == "there is none to take out\n"
    code, said = await command(checkout, "rewrap")
    assert (code, "2 secrets are now under" in said) == (0, True), said
    assert await opens(own_service, key)
    await stored(own_service, key, "third")
    code, said = await command(checkout, "retire")
    assert (code, said.startswith("1 keys taken out of")) == (0, True)
    assert first not in file.read_text()
    assert await opens(own_service, key, "third")
    await own_service.stop()
    again = await Service.start(checkout)
    assert await opens(again, key, "second")
    await again.stop()


async def test_a_server_without_its_key_says_what_it_needs(own_service: Service) -> None:
    checkout, file = own_service.checkout, own_service.checkout / "var" / "master_key"
    await stored(own_service, await onboard(own_service, "acme_corp"))
    await own_service.stop()
    content = file.read_bytes()
    for change, words in (
        (file.unlink, "lacks the master key mk_"),
        (lambda: file.write_bytes(b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=\n"), "lacks the master key mk_"),
        (lambda: (file.write_bytes(content), file.chmod(0o644)), "chmod 600"),
    ):
        change()
        with pytest.raises(AssertionError, match=words):
            await Service.start(checkout)
        if file.exists():
            file.chmod(0o600)
    # The keys themselves may stand in the environment, of which a worker sees nothing.
    file.unlink()
    started = await Service.start(checkout, master_key=content.decode().strip())
    pid = started.worker_pid()
    assert content.strip() not in Path(f"/proc/{pid}/environ").read_bytes()
    await started.stop()
    assert not file.exists()


async def test_what_the_command_refuses(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path)
    code, said = await command(checkout, "show")
    assert (code, "does not exist: run this where the server runs" in said) == (2, True), said
    given = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
    service = await Service.start(checkout)
    assert (await command(checkout, "rewrap"))[1].count("has no master key") == 1
    for name in ("add", "retire"):
        code, said = await command(checkout, name, master_key=given)
        assert (code, "change them there" in said) == (2, True), said
    code, said = await command(checkout, "show", master_key=given, master_key_file="x")
    assert (code, "set one of them" in said) == (2, True), said
    assert given not in said
    await service.stop()
