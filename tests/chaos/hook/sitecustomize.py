"""Python imports this by its name at the start of every process of a service that is tested for one fault.

It watches one function of the product, from outside: at the n-th time that it is called, or that it has returned, the
process tells its id in the file `reached` and stands still until the test answers in the file `answer`. What happens
then is the test's doing: it kills the process, fills its disk, or lets it go on, late or with an exception. A worker
that ends itself when its event loop stands still does not here: a machine that stands still lets it wake up as well.
"""

import functools
import importlib
import inspect
import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class InjectedError(Exception):
    """What the watched function fails with."""


class Watch:
    """A function that is watched; in one process of all those that come and go, once."""

    def __init__(self, folder: Path, at: str, about: str, hit: int) -> None:
        self._folder = folder
        self._at = at
        self._about = about
        self._hit = hit
        self._hits = itertools.count(1)

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, watched."""

        @functools.wraps(function)
        def call(*values: Any, **named: Any) -> Any:
            self._begins(values)
            return self._ends(values, function(*values, **named))

        @functools.wraps(function)
        async def call_and_wait(*values: Any, **named: Any) -> Any:
            self._begins(values)
            return self._ends(values, await function(*values, **named))

        return call_and_wait if inspect.iscoroutinefunction(function) else call

    def _begins(self, values: tuple[Any, ...]) -> None:
        if self._at == "call":
            self._pass(values)

    def _ends(self, values: tuple[Any, ...], result: Any) -> Any:
        if self._at == "end" or (self._at == "return" and result is not None):
            self._pass(values)
        return result

    def _pass(self, values: tuple[Any, ...]) -> None:
        if self._about and self._about not in repr(values):
            return
        if next(self._hits) == self._hit and self._is_first():
            outlive_loop_watch()
            while not (answer := self._folder / "answer").exists():
                time.sleep(0.005)
            if text := answer.read_text():
                raise InjectedError(text)

    def _is_first(self) -> bool:
        draft = self._folder / f"draft-{os.getpid()}"
        draft.write_text(str(os.getpid()))
        try:
            os.link(draft, self._folder / "reached")
        except FileExistsError:
            return False
        return True


def outlive_loop_watch() -> None:
    """When the thread that watches a worker's event loop wants to end the process, it ends alone."""
    end_process = os._exit

    def end(code: int) -> None:
        if threading.current_thread().name == "loop-watch":
            sys.exit()
        end_process(code)

    os._exit = end  # type: ignore[assignment]


def watch(function: str, new: Watch) -> None:
    """Watch the function `module:Class.method` or `module:function`."""
    module, _, path = function.partition(":")
    *parents, last = path.split(".")
    owner: Any = importlib.import_module(module)
    for parent in parents:
        owner = getattr(owner, parent)
    setattr(owner, last, new.around(getattr(owner, last)))


if (given := os.environ.get("CHAOS_WATCH")) and (wanted := json.loads(given))["process"] in sys.orig_argv:
    watch(wanted["function"], Watch(Path(wanted["folder"]), wanted["at"], wanted["about"], wanted["hit"]))
