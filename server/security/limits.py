"""What the operating system lets this process do."""

import resource


def keep_no_dumps() -> None:
    """A process that crashes leaves no image of its memory on the disk, keys included."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def allow_many_files() -> None:
    """Have as many connections and files open as the administrator allows; shells begin with far fewer."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
