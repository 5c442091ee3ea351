"""S3 as a step sees it: listing objects, reading them whole, in the version that was listed."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Event
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from processors.aws.identity import Identity
from processors.aws.keys import fixed_part, matcher
from processors.base import ProcessorError

_CHUNK = 1_048_576
_TRIES = 5
_PAUSE_SECONDS = 0.5
_MOST_OBJECTS = 10_000
_MANIFEST_BYTES = 10_485_760
_CHANGED = {"PreconditionFailed", "412"}
_DENIED = "access is denied; whoever reads it needs s3:ListBucket and s3:GetObject"
_ELSEWHERE = "the bucket is in another region; set source.region to it"
# What a person can do something about; of the rest only the code is told, since messages repeat parts of requests.
_WORDS = {
    "NoSuchBucket": "there is no such bucket; see source.bucket and source.endpoint",
    "NoSuchKey": "the object is gone",
    "404": "there is no such object",
    "403": _DENIED,
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "InvalidAccessKeyId": "the access key is not known there; store the credential anew",
    "SignatureDoesNotMatch": "the secret does not belong to the access key; store the credential anew",
    "ExpiredToken": "the session has expired",
    "PermanentRedirect": _ELSEWHERE,
    "AuthorizationHeaderMalformed": _ELSEWHERE,
    "InvalidObjectState": "the object is archived and has to be restored first",
}
# Another attempt would be refused the same way.
_LASTING = _WORDS.keys() - {"NoSuchKey", "404", "ExpiredToken"}

_T = TypeVar("_T")


class Stopped(Exception):
    """The attempt was cancelled."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in the version that it was listed in."""

    bucket: str
    key: str
    etag: str
    size: int

    @property
    def uri(self) -> str:
        """`s3://bucket/key`."""
        return f"s3://{self.bucket}/{self.key}"


class Bucket:
    """One bucket, as one identity sees it. Every method blocks and may raise ProcessorError."""

    def __init__(self, name: str, identity: Identity) -> None:
        self.name = name
        self._identity = identity
        self._stop = Event()

    def stop(self) -> None:
        """Let whatever is under way end with Stopped soon."""
        self._stop.set()

    def matching(self, pattern: str) -> list[StoredObject]:
        """The objects whose keys match, in the order of their keys; folders' own markers are none."""
        wanted = matcher(pattern)
        listed = self._listed(fixed_part(pattern))
        found = list(islice((one for one in listed if wanted(one.key) and one.key[-1] != "/"), _MOST_OBJECTS + 1))
        return self._few(found, f"s3://{self.name}/{pattern}: more than {_MOST_OBJECTS:,} objects match")

    def _few(self, objects: list[_T], told: str) -> list[_T]:
        if len(objects) > _MOST_OBJECTS:
            raise ProcessorError(f"{told}; one step loads so many at most, so name fewer", permanent=True)
        return objects

    def _listed(self, prefix: str) -> Iterator[StoredObject]:
        with self._told(f"s3://{self.name}/{prefix}"):
            for page in self._identity.s3.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
                for entry in page.get("Contents", ()):
                    self._require_wanted()
                    yield StoredObject(self.name, entry["Key"], entry["ETag"], entry["Size"])

    def of_manifest(self, pattern: str) -> list[StoredObject]:
        """The objects that the manifest of a Cost and Usage Report lists, the one whose key matches; none without one.

        Source of its form: "Viewing your Cost and Usage Reports" in AWS's documentation of data exports.
        """
        manifests = self.matching(pattern)
        if len(manifests) > 1:
            keys = ", ".join(one.key for one in manifests[:5])
            raise ProcessorError(
                f"s3://{self.name}/{pattern} matches {len(manifests)} manifests, and has to match one: {keys}"
            )
        return self._listed_by(manifests[0].key) if manifests else []

    def _listed_by(self, key: str) -> list[StoredObject]:
        uri = f"s3://{self.name}/{key}"
        with self._told(uri):
            answer = self._identity.s3.get_object(Bucket=self.name, Key=key)
            text = answer["Body"].read(_MANIFEST_BYTES + 1)
        try:
            manifest = json.loads(text)
            bucket, keys = manifest["bucket"], [str(part) for part in manifest["reportKeys"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ProcessorError(
                f"{uri} is no manifest of a Cost and Usage Report: that is JSON with bucket and reportKeys",
                permanent=True,
            ) from None
        folder = key[: key.rfind("/") + 1]
        # Whoever may write a manifest must not choose what else is read.
        if bucket != self.name or not all(part.startswith(folder) and ".." not in part for part in keys):
            raise ProcessorError(f"{uri} lists objects outside of its own folder", permanent=True)
        unique = self._few(list(dict.fromkeys(keys)), f"{uri} lists more than {_MOST_OBJECTS:,} objects")
        return [self._headed(part, uri) for part in unique]

    def _headed(self, key: str, manifest: str) -> StoredObject:
        self._require_wanted()
        with self._told(f"s3://{self.name}/{key}, which {manifest} lists"):
            head = self._identity.s3.head_object(Bucket=self.name, Key=key)
        return StoredObject(self.name, key, head["ETag"], head["ContentLength"])

    def download(self, one: StoredObject, into: Path, told: Callable[[int], None]) -> None:
        """Write the object to a file, in exactly the listed version; `told` hears of the bytes so far.

        A connection that breaks is made again, and goes on where it was.
        """
        with into.open("wb") as file, self._told(one.uri):
            for attempt in range(1, _TRIES + 1):
                try:
                    for chunk in self._chunks(one, file.tell()):
                        file.write(chunk)
                        told(file.tell())
                    break
                except BotoCoreError:
                    if attempt == _TRIES:
                        raise
                    self._stop.wait(_PAUSE_SECONDS * 2**attempt)
            if file.tell() != one.size:
                raise ProcessorError(f"{one.uri} gave {file.tell():,} bytes in the place of {one.size:,}")

    def _chunks(self, one: StoredObject, offset: int) -> Iterator[bytes]:
        """What is left of the object from there on."""
        self._require_wanted()
        if offset == one.size:
            return
        part = {"Range": f"bytes={offset}-"} if offset else {}
        answer = self._identity.s3.get_object(Bucket=one.bucket, Key=one.key, IfMatch=one.etag, **part)
        with closing(answer["Body"]) as body:
            for chunk in body.iter_chunks(_CHUNK):
                self._require_wanted()
                yield chunk

    def _require_wanted(self) -> None:
        if self._stop.is_set():
            raise Stopped

    @contextmanager
    def _told(self, subject: str) -> Iterator[None]:
        """Tells the tenant what went wrong with `subject`, in our own words."""
        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _CHANGED:
                raise ProcessorError(f"{subject} has changed since it was listed; another try takes it anew") from None
            told = _WORDS.get(code) or f"S3 refuses it ({code[:64]!r})"
            raise ProcessorError(f"{subject}: {told}", permanent=code in _LASTING) from None
        except NoCredentialsError:
            raise ProcessorError(
                f"{subject}: this installation has no identity at AWS; give the step a credential, or the worker one"
            ) from None
        except BotoCoreError as error:
            told = f"S3 cannot be reached ({type(error).__name__}); see source.endpoint and source.region"
            raise ProcessorError(f"{subject}: {told}") from error
