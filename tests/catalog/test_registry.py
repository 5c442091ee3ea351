"""Processors by name: found, not allowed, not found, broken."""

import os
import textwrap

import pytest

from server.domain.faults import Refused
from server.registry import Registry

ENGINE = """
    class Engine:
        async def execute(self, step_config, context):
            return {"status": "SUCCESS", "rows_processed": 0, "details": {}}

    def get_engine():
        return Engine()
"""


def refusal(registry, ps_type):
    with pytest.raises(Refused) as refused:
        registry.engine(ps_type)
    (fault,) = refused.value.faults
    return fault


async def test_an_engine(processors, registry):
    processors.write("gcp/__init__.py", "")
    processors.write("gcp/load.py", ENGINE)
    answer = await registry.engine("gcp.load").execute({}, {})
    assert answer["status"] == "SUCCESS"


BAD_NAMES = {
    "empty": "",
    "one part": "gcp",
    "dot at the end": "gcp.",
    "dot first": ".gcp.load",
    "two dots": "gcp..load",
    "upper case": "gcp.Load",
    "newline at the end": "gcp.load\n",
    "path": "gcp/load",
    "parent": "../gcp.load",
    "dash": "gcp.bq-etl",
    "private": "gcp._load",
    "dunder": "gcp.__init__",
    "encoded": "gcp%2eload",
    "null": "gcp.load\0",
    "variable": "{provider}.load",
    "other script": "gcp.l\u043ead",
    "5000 characters": "gcp." + "a" * 5000,
}


@pytest.mark.parametrize("ps_type", BAD_NAMES.values(), ids=BAD_NAMES)
def test_not_allowed(registry, ps_type):
    fault = refusal(registry, ps_type)
    assert fault.reason == "PS_TYPE_NOT_ALLOWED"
    assert len(fault.message) < 300


@pytest.mark.parametrize(
    "ps_type",
    ["gcp.laod", "aws.load", "gcp.load.deeper", "os.path", "gcp.reports"],
    ids=["misspelt", "no such folder", "inside a module", "another package", "folder"],
)
def test_not_found(processors, registry, ps_type):
    processors.write("gcp/load.py", ENGINE)
    processors.write("gcp/helper.py", "x = 1")
    processors.write("gcp/reports/daily.py", ENGINE)
    fault = refusal(registry, ps_type)
    assert fault.reason == "PS_TYPE_NOT_FOUND"
    assert "gcp.load" in fault.message or "gcp.reports.daily" in fault.message
    assert "helper" not in fault.message


BROKEN = {
    "no Python": ("def get_engine(:", "importing it failed"),
    "raises": ("raise RuntimeError('token-4711')", "importing it failed"),
    "exits": ("import sys; sys.exit('token-4711')", "importing it failed"),
    "interrupts": ("raise KeyboardInterrupt", "importing it failed"),
    "needs what is not there": ("import module_that_nobody_has", "module_that_nobody_has"),
    "needs a neighbour that is not there": ("from . import token_4711", "importing it failed"),
    "no factory": ("x = 1", "no get_engine()"),
    "factory is no function": ("get_engine = 1", "no get_engine()"),
    "factory raises": ("def get_engine():\n    raise ValueError('token-4711')", "get_engine() failed"),
    "factory exits": ("def get_engine():\n    raise SystemExit", "get_engine() failed"),
    "factory makes nothing": ("def get_engine():\n    pass", "no `async def execute"),
    "execute is not async": (
        "class E:\n    def execute(self, c, x): pass\nget_engine = E",
        "no `async def execute",
    ),
}


@pytest.mark.parametrize(("code", "why"), BROKEN.values(), ids=BROKEN)
def test_broken(processors, registry, code, why):
    processors.write("gcp/load.py", code)
    fault = refusal(registry, "gcp.load")
    assert fault.reason == "PS_TYPE_BROKEN"
    assert why in fault.message
    assert "the server's log has more" in fault.message
    assert "4711" not in fault.message


def test_a_processor_dropped_in_later(processors, registry):
    """Also in a folder without __init__.py, and after the folder was looked at."""
    assert refusal(registry, "mine.load").reason == "PS_TYPE_NOT_FOUND"
    processors.write("mine/other.py", ENGINE)
    assert registry.engine("mine.other")
    assert refusal(registry, "mine.load").reason == "PS_TYPE_NOT_FOUND"
    processors.write("mine/load.py", ENGINE)
    assert registry.engine("mine.load")


def test_a_processor_dropped_in_within_one_tick_of_the_clock(processors, registry):
    """Python remembers what a folder holds by the folder's time of change."""
    processors.write("gcp/other.py", ENGINE)
    assert registry.engine("gcp.other")
    changed = (processors.path / "gcp").stat()
    processors.write("gcp/load.py", ENGINE)
    os.utime(processors.path / "gcp", ns=(changed.st_atime_ns, changed.st_mtime_ns))
    assert registry.engine("gcp.load")


def test_a_broken_processor_that_was_mended(processors, registry):
    processors.write("gcp/load.py", "raise RuntimeError")
    assert refusal(registry, "gcp.load").reason == "PS_TYPE_BROKEN"
    processors.write("gcp/load.py", ENGINE)
    assert registry.engine("gcp.load")


@pytest.mark.parametrize(
    ("config", "name"),
    [
        pytest.param("class Config(BaseModel): pass", "Config", id="a model"),
        pytest.param("class Config: pass", None, id="another class"),
        pytest.param("Config = {'retries': 3}", None, id="no class"),
        pytest.param("pass", None, id="none"),
    ],
)
def test_config_model(processors, registry, config, name):
    code = f"""
    from pydantic import BaseModel

    class Engine:
        {config}

        async def execute(self, step_config, context): ...

    get_engine = Engine
    """
    processors.write("gcp/load.py", code)
    model = registry.config_model("gcp.load")
    assert (model and model.__name__) == name


def test_known(processors, registry):
    processors.write("gcp/load.py", ENGINE)
    processors.write("setup/tenants/onboarding.py", ENGINE)
    processors.write("gcp/helper.py", "x = 1")
    processors.write("base.py", "# get_engine belongs to processors")
    assert registry.known() == ["gcp.load", "setup.tenants.onboarding"]


def test_what_is_shipped_works():
    registry = Registry()
    known = registry.known()
    assert {"gcp.bq_etl", "notify_systems.email_notification", "setup.tenants.onboarding"} <= set(known)
    assert all(registry.engine(ps_type) for ps_type in known)


async def test_an_edited_processor_is_read_anew(processors, registry):
    path = processors.write("gcp/load.py", ENGINE)
    assert (await registry.engine("gcp.load").execute({}, {}))["rows_processed"] == 0
    processors.write("gcp/load.py", ENGINE.replace('"rows_processed": 0', '"rows_processed": 7'))
    os.utime(path, ns=(1, 1))
    assert (await registry.engine("gcp.load").execute({}, {}))["rows_processed"] == 7


def test_a_deleted_processor_is_gone(processors, registry):
    path = processors.write("gcp/load.py", ENGINE)
    registry.engine("gcp.load")
    path.unlink()
    assert refusal(registry, "gcp.load").reason == "PS_TYPE_NOT_FOUND"


async def test_a_further_folder(processors, registry, tmp_path):
    processors.write("gcp/load.py", ENGINE)
    folder = tmp_path / "elsewhere"
    (folder / "acme").mkdir(parents=True)
    (folder / "acme" / "check.py").write_text(textwrap.dedent(ENGINE))
    more = Registry(registry._package, folder=folder)
    assert (await more.engine("acme.check").execute({}, {}))["status"] == "SUCCESS"
    assert more.engine("gcp.load")
    assert "acme.check" in more.known()
