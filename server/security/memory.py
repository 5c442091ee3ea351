"""What is in a process's memory stays there."""

import resource


def keep_no_dumps() -> None:
    """A process that crashes leaves no image of its memory on the disk, keys included."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
