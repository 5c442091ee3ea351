"""Dates and times on literal values: calendars, weeks, zones and formats as BigQuery's reference has them."""

# ruff: noqa: E501 - one case a line reads better than four

from datetime import UTC, date, datetime
from typing import Any


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


# 2026-04-01 is a Wednesday.
LITERALS: list[tuple[str, str, list[tuple[Any, ...]]]] = [
    ("truncated dates", "SELECT DATE_TRUNC(d, WEEK), DATE_TRUNC(d, ISOWEEK), DATE_TRUNC(d, WEEK(MONDAY)), DATE_TRUNC(d, MONTH), DATE_TRUNC(d, QUARTER), DATE_TRUNC(d, YEAR), DATE_TRUNC(d, ISOYEAR) FROM (SELECT DATE '2026-05-20' AS d)", [(date(2026, 5, 17), date(2026, 5, 18), date(2026, 5, 18), date(2026, 5, 1), date(2026, 4, 1), date(2026, 1, 1), date(2025, 12, 29))]),
    ("a Sunday begins its week", "SELECT DATE_TRUNC(DATE '2026-04-05', WEEK), DATE_TRUNC(DATE '2026-04-05', ISOWEEK), DATE_TRUNC(DATE '2026-04-05', WEEK(SATURDAY))", [(date(2026, 4, 5), date(2026, 3, 30), date(2026, 4, 4))]),
    ("parts of a date", "SELECT EXTRACT(DAYOFWEEK FROM d), EXTRACT(DAYOFYEAR FROM d), EXTRACT(QUARTER FROM d), EXTRACT(MONTH FROM d), EXTRACT(DAY FROM d), EXTRACT(YEAR FROM d) FROM (SELECT DATE '2026-04-01' AS d)", [(4, 91, 2, 4, 1, 2026)]),
    ("weeks of the year", "SELECT EXTRACT(WEEK FROM DATE '2026-01-01'), EXTRACT(WEEK FROM DATE '2026-01-04'), EXTRACT(ISOWEEK FROM DATE '2026-01-01'), EXTRACT(ISOYEAR FROM DATE '2027-01-01'), EXTRACT(ISOWEEK FROM DATE '2027-01-01'), EXTRACT(WEEK(MONDAY) FROM DATE '2026-01-04'), EXTRACT(WEEK(MONDAY) FROM DATE '2026-01-05')", [(0, 1, 1, 2026, 53, 0, 1)]),
    ("months and years are added at the end of a month", "SELECT DATE_ADD(DATE '2026-01-31', INTERVAL 1 MONTH), DATE_SUB(DATE '2026-03-31', INTERVAL 1 MONTH), DATE_ADD(DATE '2024-02-29', INTERVAL 1 YEAR), DATE_ADD(DATE '2026-01-01', INTERVAL 2 WEEK), DATE_SUB(DATE '2026-05-31', INTERVAL 1 QUARTER)", [(date(2026, 2, 28), date(2026, 2, 28), date(2025, 2, 28), date(2026, 1, 15), date(2026, 2, 28))]),
    ("an interval of a column's days", "SELECT DATE_ADD(DATE '2026-01-01', INTERVAL n DAY), DATE_SUB(DATE '2026-01-01', INTERVAL n + 1 DAY) FROM (SELECT 3 AS n)", [(date(2026, 1, 4), date(2025, 12, 28))]),
    ("a date plus an interval is a DATETIME", "SELECT DATE '2026-01-31' + INTERVAL 1 DAY, TIMESTAMP '2026-01-01 00:00:00+00' + INTERVAL 90 MINUTE", [(datetime(2026, 2, 1), utc(2026, 1, 1, 1, 30))]),
    ("differences count boundaries", "SELECT DATE_DIFF('2026-03-01', '2026-02-28', MONTH), DATE_DIFF('2026-04-05', '2026-04-04', WEEK), DATE_DIFF('2026-04-06', '2026-04-05', WEEK(MONDAY)), DATE_DIFF('2026-01-01', '2025-12-31', YEAR), DATE_DIFF('2026-04-01', '2026-03-31', QUARTER), DATE_DIFF('2026-04-01', '2026-04-05', DAY)", [(1, 1, 1, 1, 1, -4)]),
    ("differences of DATETIME count boundaries", "SELECT DATETIME_DIFF(DATETIME '2026-01-01 10:00:00', DATETIME '2026-01-01 09:59:00', HOUR), DATETIME_DIFF(DATETIME '2026-01-02', DATETIME '2026-01-01 23:59:59', DAY)", [(1, 1)]),
    ("differences of TIMESTAMP count whole units", "SELECT TIMESTAMP_DIFF('2026-01-01 10:00:00+00', '2026-01-01 09:01:00+00', HOUR), TIMESTAMP_DIFF('2026-01-02 23:00:00+00', '2026-01-01 00:00:00+00', DAY), TIMESTAMP_DIFF('2026-01-01 00:00:00+00', '2026-01-01 01:30:00+00', HOUR), TIMESTAMP_DIFF(TIMESTAMP '2026-01-01 00:01:00+00', TIMESTAMP '2026-01-01 00:00:00+00', SECOND)", [(0, 1, -1, 60)]),
    ("days in a month", "SELECT EXTRACT(DAY FROM LAST_DAY(DATE '2026-04-15')), DATE_DIFF(LAST_DAY(DATE '2026-04-15'), DATE_TRUNC(DATE '2026-04-15', MONTH), DAY) + 1", [(30, 30)]),
    ("billing's Pacific month", "SELECT TIMESTAMP_TRUNC(TIMESTAMP '2026-04-01 05:00:00+00', MONTH, 'America/Los_Angeles'), DATE(TIMESTAMP '2026-04-01 05:00:00+00', 'America/Los_Angeles'), FORMAT_TIMESTAMP('%Y%m', TIMESTAMP '2026-04-01 05:00:00+00', 'America/Los_Angeles')", [(utc(2026, 3, 1, 8), date(2026, 3, 31), "202603")]),
    ("a day when the clock changes", "SELECT TIMESTAMP_TRUNC(TIMESTAMP '2026-03-08 20:00:00+00', DAY, 'America/Los_Angeles'), TIMESTAMP_TRUNC(TIMESTAMP '2026-03-09 12:00:00+00', DAY, 'America/Los_Angeles'), TIMESTAMP_TRUNC(TIMESTAMP '2026-03-08 20:40:00+00', HOUR, 'America/Los_Angeles')", [(utc(2026, 3, 8, 8), utc(2026, 3, 9, 7), utc(2026, 3, 8, 20))]),
    ("times to an instant", "SELECT TIMESTAMP(DATE '2026-04-01', 'America/Los_Angeles'), TIMESTAMP('2026-04-01 00:00:00', 'America/Los_Angeles'), TIMESTAMP '2026-04-01 00:00:00-07', TIMESTAMP(DATETIME '2026-04-01 01:00:00'), TIMESTAMP '2026-04-01 00:00:00 America/Los_Angeles', TIMESTAMP('2026-04-01T00:00:00Z')", [(utc(2026, 4, 1, 7), utc(2026, 4, 1, 7), utc(2026, 4, 1, 7), utc(2026, 4, 1, 1), utc(2026, 4, 1, 7), utc(2026, 4, 1))]),
    ("casts of times", "SELECT CAST('2026-04-01' AS DATE), CAST(TIMESTAMP '2026-04-01 23:00:00+00' AS DATE), CAST(DATE '2026-04-01' AS TIMESTAMP), CAST(DATE '2026-04-01' AS DATETIME), CAST('2026-04-01 10:00:00' AS DATETIME), CAST('2026-04-01 10:00:00+02' AS TIMESTAMP), CAST(DATETIME '2026-04-01 10:00:00' AS TIMESTAMP)", [(date(2026, 4, 1), date(2026, 4, 1), utc(2026, 4, 1), datetime(2026, 4, 1), datetime(2026, 4, 1, 10), utc(2026, 4, 1, 8), utc(2026, 4, 1, 10))]),
    ("text to dates", "SELECT PARSE_DATE('%Y%m', '202604'), PARSE_DATE('%Y%m%d', '20260401'), PARSE_DATE('%m/%d/%Y', '04/01/2026'), PARSE_DATE('%b %d %Y', 'Apr 1 2026'), PARSE_DATE('%F', '2026-04-01'), PARSE_DATE('%B %Y', 'April 2026')", [(date(2026, 4, 1),) * 6]),
    ("arrays of dates", "SELECT GENERATE_DATE_ARRAY('2026-01-01', '2026-03-01', INTERVAL 1 MONTH), GENERATE_DATE_ARRAY('2026-01-01', '2026-01-15', INTERVAL 1 WEEK), GENERATE_DATE_ARRAY('2026-01-02', '2026-01-01'), GENERATE_DATE_ARRAY('2026-01-03', '2026-01-01', INTERVAL -1 DAY)", [([date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1)], [date(2026, 1, 1), date(2026, 1, 8), date(2026, 1, 15)], [], [date(2026, 1, 3), date(2026, 1, 2), date(2026, 1, 1)])]),
    ("now", "SELECT CURRENT_DATE('America/Los_Angeles') = DATE(CURRENT_TIMESTAMP(), 'America/Los_Angeles'), CURRENT_DATE() = DATE(CURRENT_TIMESTAMP()), CURRENT_DATE = EXTRACT(DATE FROM CURRENT_TIMESTAMP), CURRENT_DATETIME() = DATETIME(CURRENT_TIMESTAMP())", [(True, True, True, True)]),
    ("texts beside times are times", "SELECT DATE '2026-04-01' BETWEEN '2026-03-31' AND '2026-04-02', TIMESTAMP '2026-04-01 00:00:00+00' >= '2026-04-01', DATE '2026-04-01' IN ('2026-04-01')", [(True, True, True)]),
    ("the last days up to today", "SELECT COUNT(*) FROM UNNEST(GENERATE_DATE_ARRAY(DATE_SUB(CURRENT_DATE(), INTERVAL 29 DAY), CURRENT_DATE())) AS d", [(30,)]),
    ("the month before", "SELECT DATE_TRUNC(DATE_SUB(DATE '2026-03-31', INTERVAL 1 MONTH), MONTH), FORMAT_DATE('%Y%m', DATE_SUB(DATE_TRUNC(DATE '2026-01-15', MONTH), INTERVAL 1 DAY))", [(date(2026, 2, 1), "202512")]),
    ("fiscal year from February", "SELECT EXTRACT(YEAR FROM DATE_ADD(d, INTERVAL 11 MONTH)) FROM UNNEST([DATE '2026-01-31', DATE '2026-02-01']) AS d ORDER BY d", [(2026,), (2027,)]),
    ("hours between", "SELECT SUM(TIMESTAMP_DIFF(e, s, MINUTE)) / 60 FROM (SELECT TIMESTAMP '2026-01-01 00:00:00+00' AS s, TIMESTAMP '2026-01-01 01:30:00+00' AS e)", [(1.5,)]),
    ("MIN and MAX of times", "SELECT MIN(d), MAX(d) FROM UNNEST([DATE '2026-01-02', NULL, DATE '2025-01-02']) AS d", [(date(2025, 1, 2), date(2026, 1, 2))]),
]  # fmt: skip

ERRORS: list[tuple[str, str]] = [
    ("a day that the month does not have", "SELECT DATE '2026-02-30'"),
    ("TIMESTAMP_DIFF in months", "SELECT TIMESTAMP_DIFF(TIMESTAMP '2026-02-01 00:00:00+00', TIMESTAMP '2026-01-01 00:00:00+00', MONTH)"),
    ("text that the format does not use up", "SELECT PARSE_DATE('%Y-%m-%d', '2026-04-01 extra')"),
    ("a month of 13", "SELECT PARSE_DATE('%Y%m', '202613')"),
    ("TIMESTAMP minus a number", "SELECT CURRENT_TIMESTAMP() - 1"),
]  # fmt: skip
