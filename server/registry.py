"""Finds processors: `gcp.bq_etl` is the module `processors.gcp.bq_etl` with its factory `get_engine()`.

A module that appears while the server runs is found at its next use. Import by name has three distinct refusals:
not allowed, not found, broken.
"""

import difflib
import importlib
import inspect
import logging
import re
import sys
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any, NoReturn, Protocol, cast

from pydantic import BaseModel

from server.domain.faults import Refused, refuse

logger = logging.getLogger(__name__)

_PS_TYPE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")


class Engine(Protocol):
    """What `get_engine()` returns; see processors/base.py."""

    async def execute(self, step_config: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
        """Do the step's work."""
        ...


def is_ps_type(ps_type: str) -> bool:
    """Whether the text has the form of a ps_type."""
    return len(ps_type) <= 200 and _PS_TYPE.fullmatch(ps_type) is not None


class Registry:
    """The processors of one package."""

    def __init__(self, package: str = "processors", *, folder: Path | None = None) -> None:
        self._package = package
        self._read: dict[str, int] = {}
        """Module -> modification time of its file when it was imported, nanoseconds."""
        self._reading = Lock()
        if folder is not None:
            path = importlib.import_module(package).__path__
            path.append(str(folder.resolve()))

    def engine(self, ps_type: str) -> Engine:
        """A new engine of that processor.

        Raises:
            Refused: PS_TYPE_NOT_ALLOWED (not the form of a ps_type), PS_TYPE_NOT_FOUND (no such module, with
                names like it), PS_TYPE_BROKEN (the module cannot be used; the log says more).
        """
        module = self._module(ps_type)
        factory = getattr(module, "get_engine", None)
        if factory is None and hasattr(module, "__path__"):
            raise self._not_found(ps_type)
        if not callable(factory):
            _broken(ps_type, "it has no get_engine()")
        try:
            engine = factory()
        except BaseException as error:  # noqa: BLE001 - foreign code: nothing it raises may end the server
            _broken(ps_type, "its get_engine() failed", error)
        if not inspect.iscoroutinefunction(getattr(engine, "execute", None)):
            _broken(ps_type, "its engine has no `async def execute(self, step_config, context)`")
        return cast("Engine", engine)

    def config_model(self, ps_type: str) -> type[BaseModel] | None:
        """The pydantic model that checks the processor's settings, if it declares one. Raises as `engine`."""
        return config_of(self.engine(ps_type))

    def known(self) -> list[str]:
        """The ps_types of the processors there are, whether or not they work."""
        package = importlib.import_module(self._package)
        names = {name for folder in package.__path__ for name in _modules(Path(folder))}
        return sorted(name for name in names if is_ps_type(name))

    def _module(self, ps_type: str) -> ModuleType:
        if not is_ps_type(ps_type):
            raise refuse(
                "PS_TYPE_NOT_ALLOWED",
                f"{ps_type[:100]!r} is not a ps_type; write provider.processor_name in lower-case letters, digits "
                "and _ (gcp.bq_etl)",
            )
        name = f"{self._package}.{ps_type}"
        with self._reading:
            self._forget_if_edited(name)
            module = self._import(name, ps_type)
            self._read.setdefault(name, _modified(module))
        return module

    def _forget_if_edited(self, name: str) -> None:
        """A processor's own file that was edited or deleted is read anew; running steps go on with what they have."""
        module = sys.modules.get(name)
        if module is None or (name in self._read and _modified(module) != self._read[name]):
            sys.modules.pop(name, None)
            self._read.pop(name, None)
            importlib.invalidate_caches()

    def _import(self, name: str, ps_type: str) -> ModuleType:
        try:
            # Also for a module that is there already: another thread may still be executing it.
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name and f"{name}.".startswith(f"{error.name}."):
                raise self._not_found(ps_type) from None
            _broken(ps_type, f"it imports the module {error.name}, which is not installed", error)
        except BaseException as error:  # noqa: BLE001 - SystemExit at import included
            _broken(ps_type, "importing it failed", error)

    def _not_found(self, ps_type: str) -> Refused:
        known = self.known()
        near = difflib.get_close_matches(ps_type, known, n=3) or known[:20]
        return refuse("PS_TYPE_NOT_FOUND", f"there is no processor {ps_type}; there is {', '.join(near)}")


def config_of(engine: Engine) -> type[BaseModel] | None:
    """The pydantic model that checks the engine's settings, if it declares one."""
    model = getattr(engine, "Config", None)
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None


def _modified(module: ModuleType) -> int:
    """When the module's file was written, 0 when it has none any more."""
    try:
        return Path(getattr(module, "__file__", None) or "").stat().st_mtime_ns
    except OSError:
        return 0


def _broken(ps_type: str, why: str, error: BaseException | None = None) -> NoReturn:
    """Refuse a processor. What its code said goes to the log only: it may hold secrets."""
    logger.error("The processor %s cannot be used: %s", ps_type, why, exc_info=error)
    raise refuse(
        "PS_TYPE_BROKEN", f"the processor {ps_type} cannot be used: {why}; the server's log has more"
    ) from None


def _modules(root: Path) -> list[str]:
    """Names of the modules that mention the factory: not every module beside processors is one."""
    paths = [path for path in root.rglob("*.py") if b"get_engine" in path.read_bytes()]
    return [".".join(path.relative_to(root).with_suffix("").parts) for path in paths]
