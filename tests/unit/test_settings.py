import os
from pathlib import Path

import pytest

from server.domain.faults import CannotStart
from server.settings import Settings


def test_nothing_has_to_be_set() -> None:
    settings = Settings()
    assert settings.state_dir == Path("var")
    assert settings.configs_dir.joinpath("gcp/cost/cost_billing.yml").is_file()
    assert settings.project == "gac-prod-471220"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CONVERGENCE_GRPC_PROT", "1"),
        ("CONVERGENCE_BIGQUERY_DATASET", "costs"),
        ("CONVERGENCE_BIGQUERY_PROJECT", "My Project"),
        ("CONVERGENCE_BIGQUERY_ENDPOINT", "localhost:9050"),
        ("CONVERGENCE_MAXIMUM_BYTES_BILLED", "0"),
        ("CONVERGENCE_GRPC_PORT", "70000"),
        ("CONVERGENCE_LEASE_SECONDS", "0"),
        ("CONVERGENCE_LOG_LEVEL", "LOUD"),
        ("CONVERGENCE_OTLP_ENDPOINT", "127.0.0.1:4318"),
        ("CONVERGENCE_OTLP_ENDPOINT", "https://user:password@collector.example.com"),
        ("CONVERGENCE_EMBEDDED_PROJECT", "No Project"),
        ("CONVERGENCE_MAX_CONCURRENT_RUNS", str(2**63)),
        ("CONVERGENCE_MAX_STREAMS", "9001"),
        *(
            (f"CONVERGENCE_{what}_RETENTION_DAYS", days)
            for what in ("RUN", "EVENT")
            for days in ("0.5", "36501", "inf", "nan")
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(CannotStart, match=name):
        Settings.from_environment()


def test_nobody_has_to_read_a_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.setenv(f"CONVERGENCE_{name.upper()}", "??")
    with pytest.raises(CannotStart) as refused:
        Settings.from_environment()
    assert "CONVERGENCE_OTLP_ENDPOINT: should be like http://127.0.0.1:4318, without" in str(refused.value)
    assert "CONVERGENCE_BIGQUERY_PROJECT: should be like my-finops-project, not '??'" in str(refused.value)
    assert "pattern" not in str(refused.value)


SECRET = "/services/T000/B000/verysecret"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"SMTP_PASSWORD": "verysecret", "SMTP_USERNAME": "u"}, "SMTP_USERNAME, CONVERGENCE_SMTP_PASSWORD needs"),
        ({"SMTP_PORT": "25"}, "CONVERGENCE_SMTP_PORT needs CONVERGENCE_SMTP_HOST"),
        ({"SMTP_HOST": "mail.example.com", "SMTP_USERNAME": "u"}, "need each other"),
        ({"SMTP_HOST": "mail.example.com", "SMTP_PASSWORD": "verysecret"}, "need each other"),
        (
            {"SMTP_HOST": "m.example", "SMTP_SECURITY": "none", "SMTP_USERNAME": "u", "SMTP_PASSWORD": "verysecret"},
            "readable on the way to m.example",
        ),
        ({"SMTP_HOST": "m.example", "SMTP_SECURITY": "none", "SMTP_CA_FILE": "ca.pem"}, "of no use"),
        ({"SMTP_HOST": "mail.example.com", "SMTP_SECURITY": "ssl"}, "CONVERGENCE_SMTP_SECURITY"),
        ({"SMTP_HOST": "mail example"}, "CONVERGENCE_SMTP_HOST: should be like mail.example.com, not 'mail example'"),
        ({"SLACK_WEBHOOK_URL": f"http://hooks.slack.com{SECRET}"}, "CONVERGENCE_SLACK_WEBHOOK_URL should be https"),
        ({"SLACK_WEBHOOK_URL": f"https://hooks.example.com{SECRET}"}, "on one of CONVERGENCE_SLACK_HOSTS"),
        ({"SLACK_HOSTS": "http://chat.example.com"}, "plain HTTP to another machine"),
        ({"MAIL_FROM": "nobody"}, "CONVERGENCE_MAIL_FROM: should be one address"),
        ({"MAIL_FROM": "a@b.example\nBcc: c@d.example"}, "CONVERGENCE_MAIL_FROM: should be one address"),
        ({"MAIL_FROM": "=?utf-8?q?x=0D=0ABcc:_c?= <a@b.example>"}, "CONVERGENCE_MAIL_FROM: should be one address"),
        ({"MAIL_FROM": "müller@b.example"}, "CONVERGENCE_MAIL_FROM: should be one address"),
        ({"MAIL_FROM": " "}, "CONVERGENCE_MAIL_FROM: should be one address"),
        (
            {"CONSOLE_URL": "javascript:alert"},
            "CONVERGENCE_CONSOLE_URL: should be like https://console.example.com, not",
        ),
    ],
)
def test_messages_that_could_not_or_should_not_be_sent_so(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], says: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"CONVERGENCE_{name}", value)
    with pytest.raises(CannotStart, match=says) as refused:
        Settings.from_environment()
    assert "verysecret" not in str(refused.value)


@pytest.mark.parametrize(
    "given",
    [
        {"SMTP_HOST": "127.0.0.1", "SMTP_SECURITY": "none", "SMTP_USERNAME": "u", "SMTP_PASSWORD": "p"},
        {"SMTP_HOST": "relay.internal", "SMTP_SECURITY": "none"},
        {"SLACK_HOSTS": "http://127.0.0.1:8080", "SLACK_WEBHOOK_URL": "http://127.0.0.1:8080/x"},
        {"MAIL_FROM": "Cost alerts <alerts@example.com>"},
        {"MAIL_FROM": "Kostenübersicht <alerts@example.com>"},
    ],
)
def test_messages_that_may_be_sent_so(monkeypatch: pytest.MonkeyPatch, given: dict[str, str]) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"CONVERGENCE_{name}", value)
    Settings.from_environment()


def test_secrets_reach_the_worker_through_its_pipe_and_no_other_way(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "DATABASE_URL": "postgresql://u:one-secret@db/c",
        "MASTER_KEY": "two-secret",
        "SMTP_HOST": "mail.example.com",
        "SMTP_USERNAME": "u",
        "SMTP_PASSWORD": "three-secret",
        "SLACK_WEBHOOK_URL": f"https://hooks.slack.com{SECRET}",
        "UI_STORAGE_SECRET": "the-consoles-secret",
    }
    for name, value in given.items():
        monkeypatch.setenv(f"CONVERGENCE_{name}", value)
    settings = Settings.from_environment()
    assert set(settings.secrets) == {"one-secret", "two-secret", "three-secret", SECRET}
    assert "secret" not in repr(settings).replace("_secret", "")
    settings.hide()
    assert not [value for value in os.environ.values() if "-secret" in value or "verysecret" in value]
    in_worker = Settings.from_environment(settings.for_worker())
    assert in_worker == settings
    assert set(in_worker.secrets) == set(settings.secrets)


@pytest.mark.parametrize("name", ["CONVERGENCE_BIGQUERY_ENDPOINT", "CONVERGENCE_BIGQUERY_CREDENTIALS_FILE"])
def test_a_setting_of_bigquery_needs_its_project(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Without the project the embedded warehouse would be used, and nobody would notice for a while."""
    monkeypatch.setenv(name, "https://bigquery.example.com")
    with pytest.raises(CannotStart, match=f"{name}.*CONVERGENCE_BIGQUERY_PROJECT"):
        Settings.from_environment()


def test_the_project_is_where_the_warehouse_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVERGENCE_BIGQUERY_PROJECT", "my-project")
    assert Settings.from_environment().project == "my-project"


def test_all_mistakes_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVERGENCE_GRPC_PORT", "x")
    monkeypatch.setenv("CONVERGENCE_WORKERS", "99")
    with pytest.raises(CannotStart, match=r"CONVERGENCE_GRPC_PORT.*\n.*CONVERGENCE_WORKERS"):
        Settings.from_environment()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("DATABASE_URL", "mysql://u:secret@db/c", "should be postgresql://user:password@host/database"),
        ("WORKERS", "99", "Input should be less than or equal to 32, not '99'"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str) -> None:
    monkeypatch.setenv(f"CONVERGENCE_{name}", value)
    with pytest.raises(CannotStart) as refused:
        Settings.from_environment()
    assert str(refused.value) == f"CONVERGENCE_{name}: {says}"


@pytest.mark.parametrize("days", [1, 36_500])
def test_what_may_be_kept_for_how_long(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    monkeypatch.setenv("CONVERGENCE_RUN_RETENTION_DAYS", str(days))
    monkeypatch.setenv("CONVERGENCE_EVENT_RETENTION_DAYS", str(days))
    settings = Settings.from_environment()
    assert (settings.run_retention_days, settings.event_retention_days) == (days, days)


def test_the_clients_and_the_consoles_variables_are_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVERGENCE_TARGET", "127.0.0.1:1")
    monkeypatch.setenv("CONVERGENCE_UI_PORT", "8080")
    Settings()


def test_the_state_folder_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVERGENCE_STATE_DIR", str(tmp_path / "deep" / "var"))
    before = os.umask(0o022)
    try:
        folder = Settings().make_state_dir()
        (folder / "file").touch()
        assert folder.stat().st_mode & 0o077 == 0
        assert (folder / "file").stat().st_mode & 0o077 == 0
    finally:
        os.umask(before)


def test_a_state_folder_that_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "var").touch()
    monkeypatch.setenv("CONVERGENCE_STATE_DIR", str(tmp_path / "var"))
    with pytest.raises(CannotStart, match="cannot be made"):
        Settings().make_state_dir()
