"""What the pages state is what the code says."""

import inspect
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from pydantic import BaseModel

from benchmarks.__main__ import BENCHMARKS
from benchmarks.report import RESULTS, with_results
from convergence.app import EXIT_CODES, app
from processors.data_quality.expectation import Expectation
from processors.data_quality.suite import MODELS, TYPES
from server import errors, settings
from server.api.app import DESCRIPTORS
from server.api.authorization import ANY_KEY, SCOPES
from server.api.pipelines import PipelineServicer
from server.api.schedules import ScheduleServicer
from server.api.system import SystemServicer
from server.api.tenants import TenantServicer
from server.catalog import Catalog
from server.domain.faults import Refused
from server.domain.pipeline import Pipeline, PipelineName, Step, Variable
from server.domain.sql_template import render_sql
from server.domain.triggers import NOTIFICATIONS
from server.exposition import standing
from server.gateway.errors import HttpError
from server.gateway.reference import reference
from server.metrics import SERVER, WORKER
from server.registry import Registry
from server.settings import Settings
from server.settings_reference import with_table
from server.store.health_port import Health
from tests.docs.pages import PAGES, ROOT, Block, anchors, blocks, code, links, tables, text_of

PIPELINES, PROCESSORS, API, CONFIGURATION, OPERATIONS = (
    f"docs/{name}.md" for name in ("pipelines", "processors", "api", "configuration", "operations")
)
SERVICERS = (PipelineServicer, TenantServicer, ScheduleServicer, SystemServicer)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in links(page):
        if link.startswith("https://"):
            continue
        path, _, fragment = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        assert not fragment or fragment in anchors(target.resolve().relative_to(ROOT).as_posix()), link


def test_every_page_is_in_the_readme() -> None:
    assert set(PAGES[1:]) <= set(links("README.md"))


# -- configuration -----------------------------------------------------------------------------------------------------


def test_settings() -> None:
    """`python -m server.settings_reference docs/configuration.md` makes the table anew."""
    page = text_of(CONFIGURATION)
    assert page == with_table(page)
    rows = tables(CONFIGURATION, "Settings")
    assert {code(row[0])[0].removeprefix("CONVERGENCE_").lower() for row in rows} == Settings.model_fields.keys()
    assert ["`CONVERGENCE_LEASE_SECONDS`", "`30`", "3 to 300"] in [row[:3] for row in rows]


def test_client_variables() -> None:
    documented = {code(row[0])[0] for row in tables(CONFIGURATION, "The client's variables")}
    assert documented == settings._CLIENT_VARIABLES


# -- pipelines ---------------------------------------------------------------------------------------------------------

YAML = [block for page in PAGES for block in blocks(page) if block.language == "yaml"]
SUITES = [block for block in YAML if block.file.startswith("configs/data_quality/")]
FRAGMENTS = [block for block in YAML if block not in SUITES and not block.file.startswith("ps_")]


@pytest.mark.parametrize("block", FRAGMENTS, ids=lambda block: block.place)
def test_yaml_is_a_pipeline_or_a_part_of_one(block: Block, tmp_path: Path) -> None:
    for suite in SUITES:
        path = tmp_path / suite.file.removeprefix("configs/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(suite.text, encoding="utf-8")
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown" / "file.yml").write_text(_as_pipeline(block.text), encoding="utf-8")
    Catalog(tmp_path, ROOT / "ps_templates").load(PipelineName("shown", "", "file"))


def _as_pipeline(text: str) -> str:
    if text.startswith("- "):
        return f"pipeline_id: shown\nsteps:\n{text}"
    if "steps:" not in text:
        return f"pipeline_id: shown\nsteps: [{{step_id: none, ps_type: shown.nothing}}]\n{text}"
    return text


@pytest.mark.parametrize(("heading", "model", "others"), [
    ("Fields of the file", Pipeline, set()),
    ("Fields of a step", Step, {"config"}),
    ("Declaring a variable", Variable, set()),
])  # fmt: skip
def test_fields(heading: str, model: type[BaseModel], others: set[str]) -> None:
    documented = {code(row[0])[0] for row in tables(PIPELINES, heading)}
    assert documented == {*model.model_fields, *others} - {"settings"}


def test_triggers() -> None:
    documented = {name for row in tables(PIPELINES, "Triggers") for name in code(row[0])}
    (trigger, _) = get_args(Step.model_fields["trigger"].annotation)
    assert documented == set(get_args(trigger))
    assert f"`{NOTIFICATIONS}`" in text_of(PIPELINES)


@pytest.mark.parametrize("row", tables(PIPELINES, "Variables in SQL"), ids=" | ".join)
def test_values_in_sql(row: list[str]) -> None:
    (sql,), (value,) = code(row[0]), code(row[1])
    refusal = re.fullmatch(r"refused: (\w+)", row[2])
    if refusal is None:
        assert [render_sql(sql, {"v": value})] == code(row[2])
        return
    with pytest.raises(Refused) as caught:
        render_sql(sql, {"v": value})
    assert [fault.reason for fault in caught.value.faults] == [refusal[1]]


# -- processors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ps_type", Registry().known())
def test_settings_of_processors(ps_type: str) -> None:
    model = Registry().config_model(ps_type)
    assert model is not None
    rows = tables(PROCESSORS, ps_type) if model.model_fields else ()
    documented = {code(row[0])[0]: (code(row[1]) or [row[1]])[0] for row in rows}
    if documented.pop("destination", None) is not None:
        # Told once for all that write to a table.
        others = (row for row in tables(PROCESSORS, "gcp.bq_etl") if code(row[0])[0].startswith("destination."))
        documented |= {code(row[0])[0]: (code(row[1]) or [row[1]])[0] for row in others}
    template = Catalog(ROOT / "configs", ROOT / "ps_templates").ps_template(ps_type).config
    actual = dict(_leaves(model, template))
    assert documented.keys() == actual.keys()
    for name, default in actual.items():
        # A default that depends on the tenant, or is long, is told in words.
        assert documented[name] == default or "{tenant_id}" in default or "\n" in default, name


def test_expectations() -> None:
    documented = {code(row[0])[0]: set(code(row[1])) for row in tables(PROCESSORS, "Expectations")}
    assert documented == {
        name: set(model.model_fields) - set(Expectation.model_fields) for name, model in zip(TYPES, MODELS, strict=True)
    }


def _leaves(model: type[BaseModel], given: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Every setting with its default: the template's, or else the model's."""
    found = list[tuple[str, str]]()
    for name, field in model.model_fields.items():
        inner = next((kind for kind in (field.annotation, *get_args(field.annotation)) if _is_model(kind)), None)
        if inner:
            found += _leaves(inner, given.get(name, {}), f"{prefix}{name}.")
        else:
            required = field.is_required() and name not in given
            default = "required" if required else given.get(name, field.default)
            found.append((prefix + name, "none" if default is None else str(default)))
    return found


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


# -- API ---------------------------------------------------------------------------------------------------------------


def test_methods() -> None:
    documented = {code(row[0])[0]: (row[1].partition(";")[0].strip("`"), row[2]) for row in tables(API, "Methods")}
    offered = {
        f"{servicer.__name__.removesuffix('Servicer')}Service/{name}"
        for servicer in SERVICERS
        for name, _ in inspect.getmembers(servicer, inspect.isfunction)
        if name in vars(servicer)
    }
    actual = {}
    for path, scope in SCOPES.items():
        method = path.removeprefix("/convergence.v1.")
        if method != path:
            told = "yes" if method in offered else "UNIMPLEMENTED"
            actual[method] = ("any key" if scope is ANY_KEY else str(scope), told)
    assert documented == actual


def test_reasons() -> None:
    rows = tables(API, "Errors")
    documented = {(row[0], reason) for row in rows for reason in code(row[1])}
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.ServiceError)]
    fixed = {(kind.code.name, kind.reason) for kind in kinds if kind.code.name != "INVALID_ARGUMENT"}
    about_input = {(where, reason) for where, reason in documented if where.islower() or " " in where}
    assert documented - about_input == fixed
    sources = "".join(path.read_text() for path in (ROOT / "server").rglob("*.py"))
    for _, reason in about_input:
        assert f'"{reason}"' in sources, reason
    # These travel in the sentence that fails a step, or belong to a command of the operator's.
    elsewhere = {"INVALID_SCHEMA", "INVALID_WRITE_MODE", "INVALID_DAYS", "DATASET_NOT_ALLOWED", "INVALID_MESSAGE"}
    raised = set(re.findall(r'(?:Fault|refuse)\(\s*(?:reason=)?"([A-Z_]+)"', sources)) - elsewhere
    assert raised <= {reason for _, reason in documented}


def test_the_reference_is_that_of_the_protos() -> None:
    """`python -m server.gateway.reference > docs/reference.md` makes it anew."""
    assert (ROOT / "docs/reference.md").read_text() == reference(DESCRIPTORS)


def test_metrics() -> None:
    documented = [code(row[0])[0] for row in tables(OPERATIONS, "Metrics")]
    empty = Health([], 0, None, 0, 0, None, datetime.now(UTC))
    counted = [family for registry in (SERVER, WORKER) for family in registry.collect()]
    actual = [f"{one.name}_total" if one.type == "counter" else one.name for one in counted]
    assert sorted(documented) == sorted([*actual, *(one.name for one in standing(empty))])


def test_every_refusal_is_told_with_its_cause_and_what_to_do() -> None:
    rows = tables(OPERATIONS, "What clients are refused with")
    # That of an InvalidRequest is the one of its first fault.
    kinds = {errors.ServiceError, *_below(errors.ServiceError)} - {errors.InvalidRequest, HttpError}
    assert {(row[0], *code(row[1])) for row in rows} == {(kind.code.name, kind.reason) for kind in kinds}
    assert all(len(row) == 4 and all(row) for row in rows)


def _below(kind: type[Any]) -> set[type[Any]]:
    return {below for child in kind.__subclasses__() for below in (child, *_below(child))}


def test_every_command_is_told() -> None:
    told = {
        " ".join(takewhile(str.islower, code(row[0])[0].split()))
        for row in tables(API, "The command line")
        if code(row[0])
    }
    assert {" ".join(words) for words in _commands(app, "convergence")} <= told


def _commands(group: typer.Typer, *path: str) -> Iterator[tuple[str, ...]]:
    for command in group.registered_commands:
        yield (*path, command.name or command.callback.__name__)
    for inner in group.registered_groups:
        yield from _commands(inner.typer_instance, *path, inner.name)


def test_exit_codes() -> None:
    rows = tables(API, "The command line")
    documented = [(row[0], row[1].replace("`", "")) for row in rows if row[0].isdigit()]
    assert documented == re.findall(r"^ +(\d+) +(.+)$", EXIT_CODES, re.MULTILINE)


# -- performance -------------------------------------------------------------------------------------------------------


def test_results() -> None:
    """`python -m benchmarks.report docs/performance.md` makes the table anew."""
    page = text_of("docs/performance.md")
    assert page == with_results(page, json.loads(RESULTS.read_text()))
    benchmarks = {code(row[0])[0] for row in tables("docs/performance.md", "Performance")}
    assert benchmarks == BENCHMARKS.keys() == {row[0] for row in tables("docs/performance.md", "Results")}


# -- architecture ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [path for row in tables("docs/architecture.md", "Modules") for path in code(row[0])])
def test_modules_exist(path: str) -> None:
    assert (ROOT / path).exists()


def test_metadata_tables_are_all_told() -> None:
    documented = {code(row[0])[0] for row in tables("docs/architecture.md", "Outbox and mirror")}
    listed = json.loads((ROOT / "ps_templates/setup/tenants/onboarding/schema.json").read_text())
    central = {path.stem for path in (ROOT / "ps_templates/setup/initial/schemas").glob("*.json")}
    assert documented == {*listed["tables"], *central}
