"""The settings that say which objects a step loads, and as whom it reads them."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from processors.aws.keys import fixed_part, with_day
from processors.base import AwsCredential, matching
from processors.destination import Strict

_ANY_DAY = date(2025, 11, 18)
BucketName = Annotated[
    str, matching(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "a bucket's name: 3 to 63 small letters, digits, . and -")
]
Prefix = Annotated[str, Field(min_length=1, max_length=1_024), matching(r"[^*?]*", "without * and ?; glob has those")]
RoleArn = Annotated[
    str,
    matching(r"arn:aws[a-z-]{0,20}:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,512}", "arn:aws:iam::ACCOUNT:role/NAME"),
]
ExternalId = Annotated[str, matching(r"[A-Za-z0-9_+=,.@:/-]{2,1224}", "2 to 1,224 letters, digits and =,.@:/+_-")]
Region = Annotated[str, matching(r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}", "a region such as eu-west-1")]
Endpoint = Annotated[str, matching(r"https?://[^/?#@]+", "an address such as https://minio.example.com:9000")]

# What decides whose objects are read, and by which machine.
_DECIDED_BY_FILE = ("endpoint", "region", "role_arn", "external_id")


def _key(value: str | None) -> str | None:
    if value is not None:
        with_day(value, _ANY_DAY)
        if value.startswith(("/", "s3:")):
            raise ValueError(f"{value[:200]!r} is no key within the bucket; leave out s3://bucket/ and the first /")
    return value


class S3Source(Strict):
    """Where the objects are. In `prefix`, `glob` and `manifest`, %Y, %m and %d stand for the run's date."""

    bucket: BucketName
    prefix: Prefix | None = None
    """What the keys begin with, as it is."""
    glob: Annotated[str, Field(min_length=1, max_length=1_024)] | None = None
    """What follows the prefix: `*` and `?` for what has no `/`, `**` for anything; without it, every key."""
    manifest: Annotated[str, Field(min_length=1, max_length=1_024)] | None = None
    """Pattern of the key of one manifest of a Cost and Usage Report, which lists the objects."""
    missing: Literal["fail", "skip"] = "fail"
    """What to do when there are no such objects."""
    credential: AwsCredential | None = None
    """The tenant's access key or role that reads them; without it, the installation's own identity."""
    role_arn: RoleArn | None = None
    """A role that the installation's identity assumes to read them."""
    external_id: ExternalId | None = None
    """The external id that the role's trust policy asks for."""
    region: Region | None = None
    """The bucket's region; without it, the one that the worker's environment says."""
    endpoint: Endpoint | None = None
    """Address of an S3 that is not AWS's."""

    _prefix = field_validator("prefix", "glob", "manifest")(_key)

    @model_validator(mode="after")
    def _is_whole(self) -> "S3Source":
        faults = []
        if self.manifest is not None and (self.prefix is not None or self.glob is not None):
            faults.append("a manifest lists the objects itself; leave out prefix and glob")
        if self.credential is not None and self.role_arn is not None:
            faults.append("credential and role_arn both say who reads the objects; leave one out")
        if self.external_id is not None and self.role_arn is None:
            faults.append("external_id belongs to role_arn")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @model_validator(mode="after")
    def _may_be_read(self, info: ValidationInfo) -> "S3Source":
        """What the installation's own identity may read is said by the pipeline's file, or by the tenant's sources.

        What the tenant's credential may read, AWS says.
        """
        known = info.context or {}
        if known.get("allowed_sources") is None:
            return self
        of_file = (known.get("of_file") or {}).get("source") or {}
        faults = [
            f"{name} is for the pipeline's file to say; no variable of a request may change it"
            for name in _DECIDED_BY_FILE
            if getattr(self, name) is not None and getattr(self, name) != of_file.get(name)
        ]
        if self.credential is None and not self._is_of(of_file) and not self._is_among(known["allowed_sources"]):
            faults.append(
                f"s3://{self.bucket}/{fixed_part(self.pattern)} is not what the pipeline's file says; give a "
                "credential that may read it, or have an operator add it to the tenant's allowed_sources"
            )
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _is_of(self, of_file: dict[str, str]) -> bool:
        names = ("bucket", "prefix", "glob", "manifest")
        return all(getattr(self, name) == of_file.get(name) for name in names)

    def _is_among(self, sources: tuple[str, ...]) -> bool:
        begin, whole = (f"s3://{self.bucket}/{part}" for part in (fixed_part(self.pattern), self.pattern))
        return any(begin.startswith(source[:-1]) if source.endswith("*") else whole == source for source in sources)

    @property
    def pattern(self) -> str:
        """What the keys match, before the day is filled in."""
        return self.manifest if self.manifest is not None else (self.prefix or "") + (self.glob or "**")
