"""How often the tables of a tenant are written."""

# The first rest after a calm is this part of the longest one, and each so many times as long as the last.
_FIRST_PART = 20
_GROWTH = 4
# A calm is at least so long: the short rests would otherwise never grow for a tenant that writes a little less often.
_LEAST_CALM = 1.0


class Pace:
    """Lets tables rest after each write, the longer, the more often they were written without a calm.

    A calm is as long as the rest before it, and a second at least. Times are seconds of any one clock.
    """

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._rests: dict[str, tuple[float, float]] = {}
        """Until when, and how long."""

    def wrote(self, tenant_id: str, now: float) -> None:
        """Let the tenant's tables rest."""
        _, before = self._rests.get(tenant_id, (0.0, 0.0))
        seconds = min(_GROWTH * before, self._longest) or self._longest / _FIRST_PART
        self._rests[tenant_id] = (now + seconds, seconds)

    def resting(self, now: float) -> list[str]:
        """The tenants whose tables are to be left alone."""
        self._rests = {
            tenant_id: (until, seconds)
            for tenant_id, (until, seconds) in self._rests.items()
            if now < until + max(seconds, _LEAST_CALM)
        }
        return [tenant_id for tenant_id, (until, _) in self._rests.items() if now < until]
