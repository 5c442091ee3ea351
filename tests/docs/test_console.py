"""The page about the console says what its settings are."""

from admin_ui.settings import ConsoleSettings
from tests.docs.pages import code, tables

CONSOLE = "docs/console.md"


def test_settings_of_the_console() -> None:
    rows = list(tables(CONSOLE, "Settings"))
    documented = {name: (code(row[1]) or [""])[0] for row in rows for name in code(row[0])}
    prefix = str(ConsoleSettings.model_config["env_prefix"])
    assert documented.keys() == {prefix + name.upper() for name in ConsoleSettings.model_fields}
    for name, field in ConsoleSettings.model_fields.items():
        default = field.default
        shown = str(default).lower() if isinstance(default, bool) else str(default if default is not None else "")
        assert documented[prefix + name.upper()] == shown, name
