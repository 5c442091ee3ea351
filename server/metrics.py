"""What is counted and measured, for Prometheus.

Labels are bounded: a pipeline is one of those that have run here, a reason one of the error tree, and no label is a
tenant, a run or a key. Each process counts for itself; a server shows what its own workers have counted beside its own.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from server.domain.pipeline import PipelineName
from server.domain.run import Run, RunTrigger, StepRun

# When a series began is nothing that anybody asks for, and a series of its own.
disable_created_metrics()  # type: ignore[no-untyped-call]
SERVER, WORKER = CollectorRegistry(), CollectorRegistry()
"""What servers count, and what workers do."""
_MOST_PIPELINES = 200
_OTHER = "other"
_CALL_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_WORK_SECONDS = (0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3_600, 14_400)

ACCEPTED = Counter(
    "convergence_runs_accepted", "Runs that this server has accepted.", ("pipeline", "trigger"), registry=SERVER
)
CALLS = Histogram(
    "convergence_call_seconds",
    "Calls of the API that are no streams, by how they ended.",
    ("method", "code"),
    buckets=_CALL_SECONDS,
    registry=SERVER,
)
STREAMS_ENDED = Counter(
    "convergence_streams_ended", "Streams of the API, by how they ended.", ("method", "code"), registry=SERVER
)
HTTP_ANSWERS = Counter(
    "convergence_http_answers", "Answers at the addresses of methods over HTTP.", ("status",), registry=SERVER
)
STREAMS = Gauge("convergence_streams", "Streams that are open.", registry=SERVER)
AUTH_FAILURES = Counter(
    "convergence_auth_failures", "Calls that were refused for the sake of their key.", ("reason",), registry=SERVER
)
CLAIMS = Counter("convergence_claims", "Runs that this worker has taken.", registry=WORKER)
LEASES_LOST = Counter("convergence_leases_lost", "Runs that this worker had to leave to another one.", registry=WORKER)
RUNS = Histogram(
    "convergence_run_seconds",
    "Runs that this worker has ended, from their start.",
    ("pipeline", "status"),
    buckets=_WORK_SECONDS,
    registry=WORKER,
)
STEPS = Histogram(
    "convergence_step_seconds",
    "Attempts of steps that this worker has ended, without those that were left out.",
    ("pipeline", "ps_type", "status"),
    buckets=_WORK_SECONDS,
    registry=WORKER,
)
BYTES_BILLED = Counter(
    "convergence_bytes_billed", "What the warehouse has billed for steps.", ("pipeline",), registry=WORKER
)
WAREHOUSE_CALLS = Histogram(
    "convergence_warehouse_call_seconds",
    "What this worker has asked of the warehouse; the outcome is OK, CANCELLED or the reason of a refusal.",
    ("operation", "outcome"),
    buckets=_WORK_SECONDS,
    registry=WORKER,
)
MESSAGES = Counter(
    "convergence_messages",
    "Mails and Slack messages, by what became of each try.",
    ("channel", "state"),
    registry=WORKER,
)

_seen = set[str]()


def pipeline_label(name: PipelineName) -> str:
    """`gcp/cost/cost_billing`; there may be so many, and the rest is `other`."""
    label = str(name)
    if label not in _seen:
        if len(_seen) >= _MOST_PIPELINES:
            return _OTHER
        _seen.add(label)
    return label


def count_accepted(name: PipelineName, trigger: RunTrigger) -> None:
    """This server has accepted a run."""
    ACCEPTED.labels(pipeline_label(name), trigger).inc()


def observe_warehouse(operation: str, outcome: str, seconds: float) -> None:
    """The warehouse has answered."""
    WAREHOUSE_CALLS.labels(operation, outcome).observe(seconds)


def count_run(run: Run) -> None:
    """A run has ended here."""
    if run.started_at is not None and run.finished_at is not None:
        seconds = (run.finished_at - run.started_at).total_seconds()
        RUNS.labels(pipeline_label(run.name), run.status).observe(max(0.0, seconds))


def count_step(run: Run, step: StepRun, *, billed: int) -> None:
    """An attempt of a step has ended here; `billed` are the bytes of this attempt, the step has those of all."""
    label = pipeline_label(run.name)
    if step.started_at is not None and step.finished_at is not None:
        seconds = (step.finished_at - step.started_at).total_seconds()
        STEPS.labels(label, step.ps_type, step.status).observe(max(0.0, seconds))
    if billed > 0:
        BYTES_BILLED.labels(label).inc(billed)
