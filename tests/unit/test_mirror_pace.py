"""How long a tenant's tables rest, on a clock that is told the time."""

import pytest

from server.mirror_pace import Pace

TENANT = "acme_corp"


def rests(pace: Pace, gap: float, count: int) -> list[float]:
    """How long they rest after each of some writes, that come so long after the rest before."""
    found, now = list[float](), 1_000.0
    for _ in range(count):
        assert pace.resting(now) == [], "a write begins when they do not rest"
        pace.wrote(TENANT, now)
        written = now
        while pace.resting(now):
            now += 0.01
        found.append(round(now - written, 1))
        now += gap
    return found


def test_without_a_calm_rests_grow_to_the_longest() -> None:
    assert rests(Pace(5.0), 0.0, 6) == pytest.approx([0.2, 1.0, 4.0, 5.0, 5.0, 5.0], abs=0.1)


def test_they_grow_also_where_a_write_comes_a_little_later() -> None:
    assert rests(Pace(5.0), 0.9, 4) == pytest.approx([0.2, 1.0, 4.0, 5.0], abs=0.1)


def test_after_a_calm_the_first_rest_is_short_again() -> None:
    assert rests(Pace(5.0), 1.1, 3) == pytest.approx([0.2, 0.2, 0.2], abs=0.1)


@pytest.mark.parametrize(("at", "until"), [(15.4, 20.4), (15.6, 15.85)])
def test_a_calm_is_as_long_as_the_rest_was(at: float, until: float) -> None:
    pace = Pace(5.0)
    for now in (0.0, 0.3, 1.4, 5.5):
        pace.wrote(TENANT, now)
    assert pace.resting(10.4) == [TENANT]
    assert pace.resting(at) == []
    pace.wrote(TENANT, at)
    assert pace.resting(until - 0.01) == [TENANT]
    assert pace.resting(until + 0.01) == []


def test_each_tenant_has_its_own() -> None:
    pace = Pace(5.0)
    pace.wrote("a", 0.0)
    pace.wrote("b", 0.2)
    assert pace.resting(0.1) == ["a", "b"]
    assert pace.resting(0.3) == ["b"]


def test_without_a_longest_there_is_none() -> None:
    pace = Pace(0.0)
    for now in (0.0, 0.1, 0.2):
        pace.wrote(TENANT, now)
        assert pace.resting(now) == []
