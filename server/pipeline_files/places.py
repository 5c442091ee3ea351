"""Where a pipeline's values stand: in its file, on the step or under `config:`, or in a ps_template."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from server.domain.faults import Fault
from server.pipeline_files.yaml_source import Path

Lines = Mapping[Path, int]


def field_path(path: Path) -> str:
    """`("steps", 0, "source", "query")` as people write it: `steps[0].source.query`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")[:200]


@dataclass(frozen=True, slots=True)
class Origin:
    """A file with the lines of its values."""

    file: str
    lines: Lines


@dataclass(frozen=True, slots=True)
class Places:
    """The places of one pipeline's values. Paths are those of the model: settings stand right on their step."""

    source: Origin
    step_ids: Sequence[str] = ()
    templates: Sequence[Origin] = ()
    """For each step the `config.yml` that its settings were merged over."""
    suites: Mapping[int, Origin] = field(default_factory=dict)
    """By the number of its step, the file whose content stands under `suite`."""

    def put(self, fault: Fault, path: Path) -> Fault:
        """The fault with file, line, field and step of that path, or of the nearest place around it."""
        step = self.step_ids[int(path[1])] if self._is_in_step(path) else ""
        origin, start, found, rest = self._find(path)
        line = origin.lines.get((*start, *found), 0)
        return fault.at(file=origin.file, line=line, field=field_path((*start, *found, *rest)), step=step)

    def line(self, path: Path) -> int:
        """The line of a path in the pipeline's own file, 0 when it does not stand there."""
        return self.source.lines.get(path, 0)

    def _is_in_step(self, path: Path) -> bool:
        return len(path) > 1 and path[0] == "steps" and isinstance(path[1], int) and path[1] < len(self.step_ids)

    def _find(self, path: Path) -> tuple[Origin, Path, Path, Path]:
        """Origin, where it starts there, what of the path it has, what it has not."""
        roots = list(self._roots(path))
        _, _, rest = roots[0]
        for end in range(len(rest), 0, -1):
            for origin, start, tail in roots:
                # What is missing is missing in the pipeline's file, also where a template has a part of it.
                is_whole = end == len(rest)
                if (*start, *tail[:end]) in origin.lines and (origin is roots[0][0] or is_whole):
                    return origin, start, tail[:end], tail[end:]
        origin, start, rest = roots[0]
        return origin, start, (), rest

    def _roots(self, path: Path) -> Iterator[tuple[Origin, Path, Path]]:
        if not self._is_in_step(path):
            yield self.source, (), path
            return
        step, rest = path[:2], path[2:]
        if rest[:1] == ("suite",) and (suite := self.suites.get(int(step[1]))):
            yield suite, (), rest[1:]
            return
        yield self.source, step, rest
        yield self.source, (*step, "config"), rest
        yield self.templates[int(step[1])], (), rest
