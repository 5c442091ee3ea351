"""Mails and Slack messages of runs, through a server with its worker, to a mail server and to one in Slack's place."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from convergence.client import ConvergenceClient
from convergence.errors import ConvergenceError
from convergence.v1.run_pb2 import Delivery, Run
from convergence.v1.tenant_service_pb2 import Credential
from tests.certificates import Authority
from tests.e2e.service import Service, delivered, finished, make_checkout, onboard, start
from tests.mail_server import PASSWORD, USER, MailServer

WEBHOOK, OWN_WEBHOOK = "/services/T0/B0/installation", "/services/T1/B1/tenants-own"
OPS, GONE = "ops@example.com", "gone@example.com"
PIPELINE = """
pipeline_id: "{tenant_id}-notify"
variables: {how: {required: true}, to: "ops@example.com", account: alerts}
steps:
  - {step_id: act, ps_type: trial.misbehave, how: "{how}"}
  - step_id: mail
    ps_type: notify_systems.email_notification
    trigger: on_completion
    to_emails: ["{to}", "gone@example.com"]
    html: "<p>{error_message}</p>"
  - {step_id: chat, ps_type: notify_systems.slack_notification, trigger: on_failure, credential: "{account}"}
  - {step_id: all, ps_type: notify_systems.slack_notification, trigger: on_success}
"""


@dataclass
class Chat:
    """In Slack's place."""

    port: int = 0
    posted: list[tuple[str, Any]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        self.posted.append((request.path, json.loads(await request.text())))
        return web.Response(text="ok")


@dataclass
class World:
    service: Service
    mail: MailServer
    chat: Chat
    key: str


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder, authority, chat = tmp_path_factory.mktemp("notifications"), Authority("ours"), Chat()
    shown = authority.issue("mail").server_context(folder)
    mail = await MailServer(answers={GONE: "550 5.1.1 no such user"}).start(starttls=shown, auth=True)
    app = web.Application()
    app.router.add_post("/{path:.*}", chat.take)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    chat.port = runner.addresses[0][1]
    (folder / "ca.pem").write_bytes(authority.pem)
    checkout = make_checkout(folder / "checkout")
    (checkout / "configs/trial/notify.yml").write_text(PIPELINE)
    service = await Service.start(
        checkout,
        smtp_host="127.0.0.1",
        smtp_port=str(mail.port),
        smtp_ca_file=str(folder / "ca.pem"),
        smtp_username=USER,
        smtp_password=PASSWORD,
        mail_from="Convergence <alerts@example.com>",
        slack_hosts=f"http://127.0.0.1:{chat.port}",
        slack_webhook_url=f"http://127.0.0.1:{chat.port}{WEBHOOK}",
        console_url="https://console.example.com/",
    )
    key = await onboard(service, "acme_corp")
    async with service.client(key) as client:
        await client.put_credential(
            "alerts", Credential.SLACK_WEBHOOK, json.dumps({"url": f"http://127.0.0.1:{chat.port}{OWN_WEBHOOK}"})
        )
    yield World(service, mail, chat, key)
    await service.stop()
    await mail.stop()
    await runner.cleanup()


def of(run: Run, step_id: str) -> dict[str, Delivery]:
    """The deliveries of a step, by recipient."""
    [step] = [step for step in run.steps if step.step_id == step_id]
    return {item.recipient: item for item in step.deliveries}


async def test_a_failure_is_told_by_mail_and_on_slack(world: World) -> None:
    async with world.service.client(world.key) as client:
        ended = await finished(client, await start(client, "acme_corp", "trial/notify", variables={"how": "explain"}))
        assert ended.status == Run.FAILED
        run = await delivered(client, ended)
    run_id = run.pipeline_logging_id
    [taken] = [taken for taken in world.mail.taken if run_id in taken.data.decode()]
    assert (taken.sender, taken.recipients) == ("alerts@example.com", [OPS])
    assert taken.mail["Message-ID"] == f"<{run_id}.mail@convergence>"
    html = taken.mail.get_body(("html",))
    assert html is not None
    assert "the file bills.csv has no rows" in html.get_content()
    assert of(run, "mail")[OPS].state == Delivery.DELIVERED
    refused = of(run, "mail")[GONE]
    assert (refused.state, refused.tries) == (Delivery.FAILED, 1)
    assert refused.note == "the mail server refuses the recipient: 550 5.1.1"
    assert run.steps[1].details["message_id"] == refused.message_id == taken.mail["Message-ID"]
    assert of(run, "chat")["alerts"].state == Delivery.DELIVERED
    [(_, payload)] = [post for post in world.chat.posted if post[0] == OWN_WEBHOOK and run_id in json.dumps(post[1])]
    shown = json.dumps(payload)
    for told in ("acme_corp-notify", "FAILED", "Failed step\\nact", "the file bills.csv has no rows"):
        assert told in shown
    assert f"https://console.example.com/runs/{run_id}" in shown


async def test_a_success_is_told_on_the_installations_webhook(world: World) -> None:
    async with world.service.client(world.key) as client:
        ended = await finished(client, await start(client, "acme_corp", "trial/notify", variables={"how": "nothing"}))
        run = await delivered(client, ended)
    assert of(run, "all")["the installation's webhook"].state == Delivery.DELIVERED
    assert run.pipeline_logging_id in json.dumps([payload for path, payload in world.chat.posted if path == WEBHOOK])


async def test_the_command_shows_what_became_of_messages(world: World) -> None:
    async with world.service.client(world.key) as client:
        ended = await finished(client, await start(client, "acme_corp", "trial/notify", variables={"how": "nothing"}))
        await delivered(client, ended)
    code, printed = await world.service.command("runs", "show", ended.pipeline_logging_id, "--tenant", "acme_corp")
    assert code == 0
    lines = [line.split() for line in printed.splitlines()]
    assert ["mail", "EMAIL", OPS, "DELIVERED", "1"] in lines
    assert any(line[:5] == ["mail", "EMAIL", GONE, "FAILED", "1"] for line in lines)


async def test_a_mail_server_that_is_down_holds_up_no_run(world: World) -> None:
    async with world.service.client(world.key) as client:
        world.mail.answers[OPS] = "451 4.3.0 not now"
        try:
            run = await start(client, "acme_corp", "trial/notify", variables={"how": "nothing"})
            ended = await finished(client, run)
            assert ended.status == Run.SUCCESS
            waiting = await _tried(client, ended, lambda item: item.tries == 1)
        finally:
            del world.mail.answers[OPS]
    assert (waiting[OPS].state, waiting[OPS].note) == (
        Delivery.QUEUED,
        "the mail server refuses the recipient: 451 4.3.0",
    )
    assert waiting[OPS].next_try_at.ToDatetime() > waiting[OPS].tried_at.ToDatetime()


async def _tried(client: ConvergenceClient, run: Run, condition: Callable[[Delivery], bool]) -> dict[str, Delivery]:
    async with asyncio.timeout(20):
        while True:
            found = of(await client.get_run(run.tenant_id, run.pipeline_logging_id), "mail")
            if found and all(map(condition, found.values())):
                return found
            await asyncio.sleep(0.05)


async def test_a_step_names_a_webhook_that_the_tenant_has(world: World) -> None:
    async with world.service.client(world.key) as client:
        with pytest.raises(ConvergenceError) as refused:
            await start(client, "acme_corp", "trial/notify", variables={"how": "nothing", "account": "other"})
    [violation] = refused.value.violations
    assert violation.field == "steps[2].credential"
    assert "no credential 'other' of the kind SLACK_WEBHOOK; there is alerts" in violation.description


async def test_a_webhook_is_kept_for_slack_alone_and_checked_without_a_message(world: World) -> None:
    posted = len(world.chat.posted)
    async with world.service.client(world.key) as client:
        with pytest.raises(ConvergenceError) as refused:
            await client.put_credential(
                "evil", Credential.SLACK_WEBHOOK, json.dumps({"url": "https://169.254.169.254/latest"})
            )
        assert refused.value.violations[0].field == "secret.url"
        checked = await client.check_credential("alerts")
        assert (checked.accepted, checked.principal) == (True, "127.0.0.1")
        assert "only its form was checked" in checked.message
        [listed] = [item async for item in client.iter_credentials()]
        assert listed.check_status == "FORM_ONLY"
    assert len(world.chat.posted) == posted


async def test_no_secret_is_told(world: World) -> None:
    """After all that has happened here: neither in the log nor in the store."""
    folder = world.service.checkout / "var"
    log = (world.service.checkout / "server.log").read_text()
    assert "tries" in log, "there is a line for each try"
    stored = b"".join(path.read_bytes() for path in sorted(folder.glob("control.sqlite3*")))
    for secret in (PASSWORD, WEBHOOK, OWN_WEBHOOK):
        assert secret not in log
        assert secret.encode() not in stored


@pytest.mark.parametrize(
    ("path", "variables"),
    [
        ("examples/pipeline_with_slack_notification", {}),
        ("examples/pipeline_with_combined_notifications", {}),
        ("notifications/try_channels", {"admin_email": "ops@example.com"}),
    ],
)
async def test_what_is_shipped_runs(world: World, path: str, variables: dict[str, str]) -> None:
    async with world.service.client(world.key) as client:
        ended = await finished(client, await start(client, "acme_corp", path, variables=variables))
        assert ended.status == Run.SUCCESS, ended.error_message
        run = await delivered(client, ended)
    assert [item for step in run.steps for item in step.deliveries]


async def test_a_worker_that_is_killed_loses_no_message(tmp_path: Path) -> None:
    """When the mail server has the mail and has not said so: the next worker sends the same mail again."""
    mail = await MailServer(held=asyncio.Event()).start()
    service = await Service.start(
        make_checkout(tmp_path), smtp_host="127.0.0.1", smtp_port=str(mail.port), smtp_security="none"
    )
    try:
        key = await onboard(service, "acme_corp")
        async with service.client(key) as client:
            ended = await finished(
                client, await start(client, "acme_corp", "trial/misbehave", variables={"how": "nothing"})
            )
            async with asyncio.timeout(20):
                while not mail.taken:
                    await asyncio.sleep(0.02)
            await service.kill_worker()
            mail.held = None
            done = await delivered(client, ended)
    finally:
        await service.stop()
        await mail.stop()
    item = of(done, "tell_success")[OPS]
    assert (item.state, item.tries) == (Delivery.DELIVERED, 1)
    first, second = mail.taken
    assert first.data == second.data
