"""What is done on the event loop, mostly on a clock that is told the time."""

import asyncio
import threading

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
    made.note(NAME, 0.001, 0.2, on_loop=False)
    return made


def test_each_pipeline_is_unknown_at_first(brevity: Brevity) -> None:
    assert brevity.is_brief(NAME)
    assert not brevity.is_brief(OTHER)


@pytest.mark.parametrize("on_loop", [True, False])
def test_one_that_works_long_is_done_in_threads(brevity: Brevity, clock: Clock, on_loop: bool) -> None:
    brevity.note(NAME, 0.004, 0.004, on_loop=on_loop)
    for _ in range(3):
        clock.now += 60
        brevity.note(NAME, 0.004, 0.004, on_loop=False)
        assert not brevity.is_brief(NAME)
    brevity.note(NAME, 0.001, 0.2, on_loop=False)
    assert brevity.is_brief(NAME)


def test_one_that_waited_long_on_the_loop_comes_back_after_a_second(brevity: Brevity, clock: Clock) -> None:
    brevity.note(NAME, 0.001, 0.009, on_loop=True)
    assert brevity.is_brief(NAME)
    brevity.note(NAME, 0.001, 0.02, on_loop=True)
    for seconds, is_brief in ((0.0, False), (0.5, False), (0.6, True)):
        clock.now += seconds
        brevity.note(NAME, 0.001, 0.02, on_loop=False)
        assert brevity.is_brief(NAME) is is_brief


async def test_it_is_done_there() -> None:
    brevity, on_loop = Brevity(), list[bool]()

    def work() -> None:
        on_loop.append(threading.current_thread() is threading.main_thread())

    for given in ([], ["short"], ["long" * 300], []):
        await brevity.do(NAME, work, asyncio.to_thread, given=given)
    assert on_loop == [False, True, False, True]


async def test_it_raises_what_the_work_raises() -> None:
    brevity = Brevity()

    def work() -> None:
        raise LookupError("not there")

    for _ in range(2):
        with pytest.raises(LookupError, match="not there"):
            await brevity.do(NAME, work, asyncio.to_thread, given=())
