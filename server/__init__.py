"""The server and its worker."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("convergence-data-pipeline")
except PackageNotFoundError:
    # A checkout that nobody installed: its version is in pyproject.toml only.
    __version__ = "0+checkout"
