"""aws.s3_data_loader: load the objects of an S3 bucket into a table of the tenant's dataset, each once."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field

from processors.aws.keys import with_day
from processors.aws.s3_source import S3Source
from processors.base import Context, LoadedObject, ProcessorError
from processors.destination import Destination, Strict
from processors.files.options import FileOptions

_T = TypeVar("_T")
