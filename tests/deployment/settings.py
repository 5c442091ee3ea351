"""The settings that a container's environment comes to, as its process reads them."""

import os
from collections.abc import Mapping

import pytest

from admin_ui.settings import ConsoleSettings, read_settings
from server.settings import Settings
from tests.deployment.files import DOCKERFILE


def settings_of(patch: pytest.MonkeyPatch, given: Mapping[str, str]) -> tuple[Settings, ConsoleSettings]:
    """What server or worker, and what a console make of an environment on top of the image's. Each refuses what it
    does not know."""
    for name in [name for name in os.environ if name.startswith("CONVERGENCE_")]:
        patch.delenv(name)
    for name, value in {**DOCKERFILE.environment, **given}.items():
        if name.startswith("CONVERGENCE_"):
            patch.setenv(name, value)
    return Settings.from_environment(), read_settings()
