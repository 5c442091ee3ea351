"""How files are read: models that a processor's Config embeds."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from processors.files.faults import FileFault

Field_ = Mapping[str, Any]
"""A BigQuery field as schema_template.json has it: name, type, mode, fields."""
Format = Literal["csv", "ndjson", "parquet"]

_ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".json": "ndjson",
    ".jsonl": "ndjson",
    ".ndjson": "ndjson",
    ".parquet": "parquet",
}
_Character = Annotated[str, Field(min_length=1, max_length=1)]


class CsvOptions(BaseModel):
    """The dialect of CSV files."""

    model_config = ConfigDict(extra="forbid")

    delimiter: _Character = ","
    quote: Annotated[str, Field(max_length=1)] = '"'
    """`""`: cells are never quoted."""
    escape: _Character = '"'
    """What stands before a quote within a quoted cell."""
    header: bool = True
    """Without one, the columns are the table's, in its order; more of them are called `column_<position>`."""
    null_markers: list[str] = [""]
    """Cells, quoted or not, that are NULL."""
    skip_leading_rows: Annotated[int, Field(ge=0)] = 0
    """Lines before the header."""

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> "CsvOptions":
        if self.delimiter in {self.quote, self.escape}:
            raise ValueError("the delimiter must be neither the quote nor the escape")
        if any(character in "\r\n\0" for character in self.delimiter + self.quote + self.escape):
            raise ValueError("delimiter, quote and escape must not be line breaks")
        return self


class ReadOptions(BaseModel):
    """How the files of one load are read."""

    model_config = ConfigDict(extra="forbid")

    format: Literal["auto", "csv", "ndjson", "parquet"] = "auto"
    """`auto` goes by the ending of each file's name."""
    csv: CsvOptions = CsvOptions()
    column_names: Literal["keep", "snake_case"] = "keep"
    """What becomes of the names in the file; see processors.files.names."""
    ignore_unknown_values: bool = False
    """Columns, and fields of records, that the table lacks are left out."""

    def format_of(self, name: str) -> Format:
        """The format of a file.

        Raises:
            FileFault: its name does not tell.
        """
        if self.format != "auto":
            return self.format
        bare = name.lower().removesuffix(".gz")
        found = next((kind for ending, kind in _ENDINGS.items() if bare.endswith(ending)), None)
        if found is None:
            raise FileFault(
                f"{name}: the name does not tell the format; it has to end in {', '.join(_ENDINGS)}, "
                "each with or without .gz, or format has to name csv, ndjson or parquet"
            )
        return found
