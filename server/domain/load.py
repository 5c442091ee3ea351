"""What a table's rows were loaded from: the objects of a bucket, each in the version that was loaded."""

from server.domain.record import Record

_REPLACING = frozenset({"overwrite", "overwrite_partition"})


class LoadedObject(Record):
    """One object, as it was when it was read."""

    uri: str
    """`s3://bucket/key`."""
    etag: str
    """Changes with the object's content."""
    size: int
    """In bytes."""
    rows: int
    """Rows that it gave."""


class _OfEffect(Record):
    """Objects whose rows one effect writes to a table."""

    effect_id: str
    partition: str
    """First day of the partition that it replaces, YYYY-MM-DD; '' in the other write modes."""
    write_mode: str
    objects: tuple[LoadedObject, ...]

    @property
    def replaces(self) -> bool:
        """Whether rows that were there before make room."""
        return self.write_mode in _REPLACING


class Load(_OfEffect):
    """What an effect is about to load."""

    table: str
    """The table's name in the tenant's dataset."""
    again: bool = False
    """Whether objects that are in the table already may be loaded again."""
    gone: tuple[str, ...] = ()
    """Effects that wrote to an earlier table of that name: what they loaded is not there any more."""


class LoadRecord(_OfEffect):
    """A load that was begun, and as far as is known not undone; without the objects that a later one has replaced."""

    pipeline_logging_id: str
    step_id: str
    is_committed: bool
    """False until it is known what became of the effect."""

    def meets(self, partition: str) -> bool:
        """Whether its rows may be where those of another load of the table are, of that partition or of ''."""
        return self.partition == partition or "" in {self.partition, partition}
