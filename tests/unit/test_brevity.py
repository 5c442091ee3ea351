"""Which pipelines are prepared on the event loop, on a clock that is told the time."""

import pytest

from server.brevity import Brevity
from server.domain.pipeline import PipelineName

NAME = PipelineName("gcp", "cost", "cost_billing")
OTHER = PipelineName("gcp", "cost", "other")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def brevity(clock: Clock) -> Brevity:
    """One that knows that NAME is short."""
    made = Brevity(clock)
    made.note(NAME, 0.001, on_loop=False)
    return made


def test_each_pipeline_is_unknown_at_first(brevity: Brevity) -> None:
    assert brevity.is_brief(NAME)
    assert not brevity.is_brief(OTHER)


def test_one_that_works_long_stays_in_threads(brevity: Brevity, clock: Clock) -> None:
    for _ in range(3):
        brevity.note(NAME, 0.004, on_loop=False)
        clock.now += 60
        assert not brevity.is_brief(NAME)
    brevity.note(NAME, 0.001, on_loop=False)
    assert brevity.is_brief(NAME)


def test_one_that_once_took_long_on_the_loop_comes_back_after_a_second(brevity: Brevity, clock: Clock) -> None:
    brevity.note(NAME, 0.02, on_loop=True)
    for seconds, is_brief in ((0.0, False), (0.5, False), (0.6, True)):
        clock.now += seconds
        brevity.note(NAME, 0.001, on_loop=False)
        assert brevity.is_brief(NAME) is is_brief
