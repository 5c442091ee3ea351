"""Reads files that people write, and only below the folder that they belong to."""

from pathlib import Path

from server.domain.faults import Fault, Refused
from server.pipeline_files.yaml_source import MAX_BYTES, decode


def read_text(path: Path, *, root: Path, file: str) -> str:
    """The text of an existing file below `root` (resolved); `file` is how faults name it.

    Raises:
        Refused: FILE_OUTSIDE_FOLDER for a link that leaves the folder, FILE_NOT_READABLE, YAML_TOO_LARGE,
            YAML_ENCODING.
    """
    target = path.resolve()
    if not target.is_relative_to(root):
        message = f"the file is a link that leads outside of {root.name}/; put the file itself there"
        raise Refused([Fault("FILE_OUTSIDE_FOLDER", message, file=file)])
    try:
        with target.open("rb") as opened:
            # One byte more than allowed is enough to know that it is too large.
            return decode(opened.read(MAX_BYTES + 1), file=file)
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
        raise Refused([Fault("FILE_NOT_READABLE", message, file=file)]) from None
