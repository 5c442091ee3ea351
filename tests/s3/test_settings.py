"""Settings of aws.s3_data_loader, as they are checked before a run: what is wrong, and what a tenant may not choose."""

import time
from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from processors.aws.keys import fixed_part, matcher, with_day
from processors.aws.s3 import StoredObject
from processors.aws.s3_data_loader import S3DataLoader
from processors.aws.s3_loading import choose
from processors.base import LoadedObject

BUCKET = "acme-billing"


def check(source: dict[str, Any], *, of_file: dict[str, Any] | None = None, allowed: tuple[str, ...] = ()) -> None:
    """As before a run of a tenant that has a credential `own`; the file says the same unless `of_file` is given."""
    source = {"bucket": BUCKET, **source}
    known = {
        "ps_template": {"schemas": {"default": {}}},
        "credentials": {"own": "AWS_ROLE"},
        "allowed_sources": allowed,
        "of_file": {"source": source if of_file is None else {"bucket": BUCKET, **of_file}},
    }
    S3DataLoader.Config.model_validate({"source": source, "destination": {"table": "costs"}}, context=known)


@pytest.mark.parametrize(
    "source",
    [
        {"prefix": "bills/%Y/%m/%d/", "glob": "**/*.csv.gz"},
        {"manifest": "cur/%Y%m01-*/*-Manifest.json", "credential": "own"},
        {"role_arn": "arn:aws:iam::123456789012:role/bills", "external_id": "x-1", "region": "eu-west-1"},
        {"endpoint": "http://127.0.0.1:9000"},
    ],
)
def test_what_fits(source: dict[str, Any]) -> None:
    check(source)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ({"bucket": "Acme"}, "should be a bucket's name: 3 to 63 small letters, digits, . and -, not 'Acme'"),
        ({"region": "Ireland"}, "should be a region such as eu-west-1, not 'Ireland'"),
        ({"role_arn": "role/x"}, "should be arn:aws:iam::ACCOUNT:role/NAME, not 'role/x'"),
        ({"prefix": "/bills"}, "is no key within the bucket"),
        ({"prefix": "s3://acme-billing/bills"}, "is no key within the bucket"),
        ({"prefix": "bills/*/"}, "should be without * and ?; glob has those, not 'bills/*/'"),
        ({"prefix": "bills/%y/"}, "'%y' in 'bills/%y/': write %Y, %m or %d"),
        ({"manifest": "m.json", "glob": "*"}, "leave out prefix and glob"),
        ({"credential": "own", "role_arn": "arn:aws:iam::123456789012:role/x"}, "leave one out"),
        ({"external_id": "x-1"}, "external_id belongs to role_arn"),
        ({"credential": "others"}, "no credential 'others' of the kind AWS_ACCESS_KEY or AWS_ROLE; there is own"),
        ({"endpoint": "http://user@host"}, "should be an address such as https://minio.example.com:9000, not"),
        (
            {"manifest": "m.json", "glob": "*", "external_id": "x-1"},
            "leave out prefix and glob; external_id belongs to role_arn",
        ),
    ],
)
def test_what_does_not(source: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        check(source)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("source", "allowed"),
    [
        ({"bucket": "rival-billing"}, ()),
        ({"prefix": "rival/"}, ()),
        ({"glob": "rival/*"}, ()),
        ({"manifest": "rival/m.json"}, ()),
        ({"prefix": "acme"}, ("s3://acme-billing/acme/*",)),
        ({"prefix": "acme2/"}, ("s3://acme-billing/acme/*",)),
        ({"glob": "acm*/bill.csv"}, ("s3://acme-billing/acme/*",)),
        ({"glob": "bill.cs?"}, ("s3://acme-billing/bill.csv",)),
        ({"prefix": "acme/"}, ("acme-billing.acme.*",)),
    ],
)
def test_the_installations_identity_reads_what_the_file_or_an_operator_says(
    source: dict[str, Any], allowed: tuple[str, ...]
) -> None:
    with pytest.raises(ValidationError, match="is not what the pipeline's file says"):
        check(source, of_file={"prefix": "own/"}, allowed=allowed)
    if source.get("bucket") is None:
        check({**source, "credential": "own"}, of_file={"prefix": "own/"})


@pytest.mark.parametrize(
    ("source", "allowed"),
    [
        ({"prefix": "acme/2025/"}, "s3://acme-billing/acme/*"),
        ({"glob": "acme/**/*.csv"}, "s3://acme-billing/acme/*"),
        ({"manifest": "acme/m.json"}, "s3://acme-billing/acme/m.json"),
        ({"bucket": "others-billing"}, "s3://others-billing/*"),
    ],
)
def test_what_an_operator_allows(source: dict[str, Any], allowed: str) -> None:
    check(source, of_file={}, allowed=(allowed,))


@pytest.mark.parametrize(
    "source",
    [
        {"endpoint": "http://10.0.0.1"},
        {"role_arn": "arn:aws:iam::123456789012:role/bills"},
        {"region": "eu-west-1"},
    ],
)
def test_no_request_decides_whom_the_installation_asks(source: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="is for the pipeline's file to say"):
        check({**source, "prefix": "own/"}, of_file={"prefix": "own/"}, allowed=("s3://acme-billing/*",))


def test_a_day_in_a_key() -> None:
    day = date(2025, 3, 7)
    assert with_day("a/%Y-%m-%d/100%%/%Y%m01", day) == "a/2025-03-07/100%/20250301"


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("in/*.csv", ["in/a.csv", "in/.csv"], ["in/b/a.csv", "in/a.csv.gz", "xin/a.csv", "in/a.csv\n"]),
        ("in/**/*.csv", ["in/a.csv", "in/b/c/a.csv"], ["in.csv"]),
        ("in/**", ["in/a", "in/b/c", "in/"], ["inn/a"]),
        ("in/**/b/**/*.csv", ["in/b/a.csv", "in/a/b/c/b/a.csv"], ["in/ab/a.csv", "in/b.csv"]),
        ("****/a", ["a", "ba", "b/c/a"], ["ab"]),
        ("a?[x].(y)+", ["ab[x].(y)+"], ["a/[x].(y)+", "abx.(y)+"]),
    ],
)
def test_patterns_of_keys(pattern: str, yes: list[str], no: list[str]) -> None:
    assert [key for key in yes + no if matcher(pattern)(key)] == yes
    assert all(key.startswith(fixed_part(pattern)) for key in yes)


@pytest.mark.parametrize("pattern", ["*a" * 400 + "*b", "**a" * 300 + "**b", "**/*" * 250 + "b", "**" * 400 + "b"])
def test_no_pattern_takes_long(pattern: str) -> None:
    started = time.process_time()
    assert not matcher(pattern)("a/" * 512)
    assert not matcher(pattern)("a" * 1_024)
    assert time.process_time() - started < 5


def test_choosing_among_as_many_objects_as_a_step_may_load_is_quick() -> None:
    found = [StoredObject(BUCKET, f"data/2025/{number:06}.csv.gz", "v1", 1) for number in range(10_000)]
    started = time.process_time()
    choice = choose(found, {one.uri: loaded() for one in found}, write_mode="append", skip_loaded=True)
    assert choice.skipped == len(found)
    assert time.process_time() - started < 1


def loaded(etag: str = "v1", *, by_this_step: bool = False) -> LoadedObject:
    return {"etag": etag, "size": 1, "rows": 7, "by_this_step": by_this_step}


A, B = (StoredObject(BUCKET, key, "v1", 1) for key in "ab")


@pytest.mark.parametrize(
    ("there", "mode", "skip", "objects", "rows_before"),
    [
        ({}, "append", True, (A, B), 0),
        ({A.uri: loaded()}, "append", True, (B,), 0),
        ({A.uri: loaded("v0")}, "append", True, (A, B), 0),
        ({A.uri: loaded(), B.uri: loaded()}, "append", True, (), 0),
        ({A.uri: loaded(), B.uri: loaded()}, "append", False, (A, B), 0),
        ({A.uri: loaded(by_this_step=True), B.uri: loaded()}, "append", False, (B,), 7),
        ({A.uri: loaded(), B.uri: loaded()}, "overwrite", True, (), 0),
        ({A.uri: loaded()}, "overwrite", True, (A, B), 0),
        ({A.uri: loaded(), B.uri: loaded(), "s3://acme-billing/gone": loaded()}, "overwrite", True, (A, B), 0),
        ({A.uri: loaded(by_this_step=True), B.uri: loaded(by_this_step=True)}, "overwrite", False, (), 14),
    ],
)
def test_what_is_left_to_load(
    there: dict[str, LoadedObject], mode: str, skip: bool, objects: tuple[StoredObject, ...], rows_before: int
) -> None:
    choice = choose([A, B], there, write_mode=mode, skip_loaded=skip)
    assert (choice.objects, choice.rows_before) == (objects, rows_before)
