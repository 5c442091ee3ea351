"""The base of what the control store keeps."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Something that is stored, and replaced as a whole."""

    model_config = ConfigDict(frozen=True)
