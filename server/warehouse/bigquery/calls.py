"""BigQuery's blocking client, called from the event loop."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from random import random
from typing import TypeVar

from google.api_core.exceptions import GoogleAPIError
from google.api_core.retry import Retry
from google.auth.exceptions import GoogleAuthError
from requests import RequestException

from server.warehouse.bigquery.errors import is_transient, refusal, retry_after
from server.warehouse.port import WarehouseError

_T = TypeVar("_T")

# A call takes a fraction of a second and jobs are waited for without a thread, so that a few serve hundreds of jobs.
_THREADS = 16
# Looks at running jobs have threads of their own, so that they never keep a start or a stop waiting.
_LOOK_THREADS = 16
CONNECTIONS = _THREADS + _LOOK_THREADS
"""As many as there are calls at a time."""
TIMEOUT = 60.0
"""Seconds after which one call counts as lost; to be given to each method of the client."""
ONCE = Retry(predicate=lambda _error: False)
"""Keeps the client from repeating a call by itself, with a thread asleep; to be given to each method of the client."""
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0

logger = logging.getLogger(__name__)


class Calls:
    """Makes calls in a bounded set of threads, and again while BigQuery says that this helps."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="bigquery")
        self._look_threads = ThreadPoolExecutor(_LOOK_THREADS, thread_name_prefix="bigquery-look")
        self._is_closed = False

    def close(self) -> None:
        """Make no more calls; those under way end by themselves."""
        self._is_closed = True
        for threads in (self._threads, self._look_threads):
            threads.shutdown(wait=False, cancel_futures=True)

    async def run(
        self,
        call: Callable[[], _T],
        *,
        expect: type[GoogleAPIError] | tuple[type[GoogleAPIError], ...] = (),
        is_look: bool = False,
    ) -> _T:
        """Make a call, and repeat it after 429, 500, 502, 503 and a lost connection.

        It pauses as long as Retry-After says, and without that twice as long each time; whoever awaits it sets the
        limit by cancelling.

        Raises:
            WarehouseError: what went wrong for good. Errors of the classes in `expect` come as they are.
        """
        wait = pauses(_FIRST_PAUSE, _LONGEST_PAUSE)
        threads = self._look_threads if is_look else self._threads
        while True:
            if self._is_closed:
                raise WarehouseError("WAREHOUSE_FAILED", "the warehouse is closed")
            try:
                return await asyncio.get_running_loop().run_in_executor(threads, call)
            except expect:
                raise
            except (GoogleAPIError, GoogleAuthError, RequestException, ConnectionError) as error:
                if not is_transient(error):
                    logger.warning("BigQuery refused a call", exc_info=error)
                    raise refusal(error) from error
                seconds = max(next(wait), retry_after(error))
                logger.warning("BigQuery did not answer as it should; next try in %.1f s", seconds, exc_info=error)
            await asyncio.sleep(seconds)


def pauses(first: float, longest: float) -> Iterator[float]:
    """Seconds to wait before each further try: twice as many each time, less up to a half by chance."""
    pause = first
    while True:
        yield pause * (0.5 + random() / 2)  # noqa: S311
        pause = min(pause * 2, longest)
