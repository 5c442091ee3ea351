"""What the installation reads of S3 for a tenant: what pipeline files say, and operators, and no request."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from server.catalog import Catalog
from server.domain.faults import Refused
from server.domain.pipeline import PipelineName, StepSnapshot
from server.domain.run import RunKind, RunStatus
from server.preparation import Preparation, RunRequest, TenantFacts
from server.registry import Registry
from tests.s3.place import PROJECT, ROOT, Place

NAME = PipelineName("aws", "cost", "load")
Prepare = Callable[..., StepSnapshot]


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    """Prepares a request of a tenant without credentials."""
    folder = tmp_path / "configs"
    (folder / "aws/cost").mkdir(parents=True)

    def prepare(text: str, *, allowed: tuple[str, ...] = (), **variables: str) -> StepSnapshot:
        (folder / "aws/cost/load.yml").write_text(text)
        preparation = Preparation(Catalog(folder, ROOT / "ps_templates"), Registry(), PROJECT)
        tenant = TenantFacts("acme_corp", allowed)
        request, now = RunRequest(NAME, "2025-11-18", variables), datetime(2025, 11, 19, tzinfo=UTC)
        prepared = preparation.prepare(request, tenant=tenant, now=now, pipeline_logging_id="run-1")
        return prepared.snapshot.steps[0]

    return prepare


def pipeline(source: str, *, pipeline_id: str = "{tenant_id}-load", variables: str = "{}") -> str:
    return f"""\
pipeline_id: "{pipeline_id}"
variables: {variables}
steps:
  - step_id: "load"
    ps_type: "aws.s3_data_loader"
    source: {source}
    destination: {{table: "costs"}}
"""


@pytest.mark.parametrize(
    "text",
    [
        pipeline(
            '{bucket: "acme-billing", prefix: "{tenant_id}/{date}/", glob: "{name}"}', variables='{name: "*.csv"}'
        ),
        pipeline('{bucket: "{of_team}", prefix: "a/"}', variables='{team: "acme", of_team: "{team}-bills"}'),
        pipeline('{bucket: "acme-billing", prefix: "{team}/"}', variables="{team: {required: true}}"),
        pipeline('{bucket: "acme-billing", prefix: "{of}/"}', variables='{team: {required: true}, of: "{team}"}'),
        pipeline(
            '{bucket: "acme-billing", prefix: "{pipeline_id}/"}', pipeline_id="{team}", variables='{team: "acme"}'
        ),
    ],
    ids=["a part", "through another", "without a default", "through one without", "through the pipeline's id"],
)
def test_no_variable_of_a_request_chooses_what_the_installation_reads(prepare: Prepare, text: str) -> None:
    name = "name" if "{name}" in text else "team"
    with pytest.raises(Refused, match="is not what the pipeline's file says"):
        prepare(text, **{name: "rival"})


def test_what_is_known_only_later_chooses_nothing(prepare: Prepare) -> None:
    with pytest.raises(Refused, match="is not what the pipeline's file says"):
        prepare(pipeline('{bucket: "acme-billing", prefix: "{error_message}/"}'))


@pytest.mark.parametrize(
    ("variables", "given"),
    [
        ('{team: "acme"}', {}),
        ('{team: "acme"}', {"team": "acme"}),
        ('{team: "acme", table: {required: true}}', {"table": "costs"}),
    ],
    ids=["its default", "its default given", "beside a variable without a default"],
)
def test_what_the_file_says_is_read(prepare: Prepare, variables: str, given: dict[str, str]) -> None:
    text = pipeline('{bucket: "acme-billing", prefix: "{team}/{date}/"}', variables=variables)
    prepare(text.replace('table: "costs"', 'table: "{table}"') if "table" in given else text, **given)


async def test_what_an_operator_takes_back_is_not_read_by_runs_that_wait_or_retry(
    place: Place, prepare: Prepare
) -> None:
    text = pipeline(f'{{bucket: "{{bucket}}", endpoint: "{place.aws.endpoint}"}}', variables='{bucket: "none"}')
    source = f"s3://{place.bucket}/*"
    place.put("a.csv", "account,cost\na,1.50\n")
    step = prepare(text, allowed=(source,), bucket=place.bucket)
    for allowed, status in ((source, RunStatus.SUCCESS), (f"s3://{place.bucket}/other/*", RunStatus.FAILED)):
        await place.accept_step(step, date="2025-11-18", kind=RunKind.EXECUTE)
        run = await place.work(allowed=(allowed,))
        assert run.status is status, run.error_message
    assert "is not what the pipeline's file says" in run.error_message
