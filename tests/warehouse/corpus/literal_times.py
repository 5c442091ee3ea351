"""Dates and times on literal values: calendars, weeks, zones and formats as BigQuery's reference has them."""

# ruff: noqa: E501 - one case a line reads better than four

from datetime import UTC, date, datetime, time
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
    ("a date plus a number", "SELECT DATE '2026-01-31' + 1, DATE '2026-01-01' - 1", [(date(2026, 2, 1), date(2025, 12, 31))]),
    ("a date plus an interval is a DATETIME", "SELECT DATE '2026-01-31' + INTERVAL 1 DAY, TIMESTAMP '2026-01-01 00:00:00+00' + INTERVAL 90 MINUTE", [(datetime(2026, 2, 1), utc(2026, 1, 1, 1, 30))]),
    ("differences count boundaries", "SELECT DATE_DIFF('2026-03-01', '2026-02-28', MONTH), DATE_DIFF('2026-04-05', '2026-04-04', WEEK), DATE_DIFF('2026-04-06', '2026-04-05', WEEK(MONDAY)), DATE_DIFF('2026-01-01', '2025-12-31', YEAR), DATE_DIFF('2026-04-01', '2026-03-31', QUARTER), DATE_DIFF('2026-04-01', '2026-04-05', DAY)", [(1, 1, 1, 1, 1, -4)]),
    ("differences of DATETIME count boundaries", "SELECT DATETIME_DIFF(DATETIME '2026-01-01 10:00:00', DATETIME '2026-01-01 09:59:00', HOUR), DATETIME_DIFF(DATETIME '2026-01-02', DATETIME '2026-01-01 23:59:59', DAY)", [(1, 1)]),
    ("differences of TIMESTAMP count whole units", "SELECT TIMESTAMP_DIFF('2026-01-01 10:00:00+00', '2026-01-01 09:01:00+00', HOUR), TIMESTAMP_DIFF('2026-01-02 23:00:00+00', '2026-01-01 00:00:00+00', DAY), TIMESTAMP_DIFF('2026-01-01 00:00:00+00', '2026-01-01 01:30:00+00', HOUR), TIMESTAMP_DIFF(TIMESTAMP '2026-01-01 00:01:00+00', TIMESTAMP '2026-01-01 00:00:00+00', SECOND)", [(0, 1, -1, 60)]),
    ("last days", "SELECT LAST_DAY(DATE '2026-02-10'), LAST_DAY(DATE '2024-02-10', MONTH), LAST_DAY(DATE '2026-04-01', WEEK), LAST_DAY(DATE '2026-04-01', QUARTER), LAST_DAY(DATE '2026-04-01', YEAR), LAST_DAY(DATE '2026-04-01', WEEK(MONDAY))", [(date(2026, 2, 28), date(2024, 2, 29), date(2026, 4, 4), date(2026, 6, 30), date(2026, 12, 31), date(2026, 4, 5))]),
    ("days in a month", "SELECT EXTRACT(DAY FROM LAST_DAY(DATE '2026-04-15')), DATE_DIFF(LAST_DAY(DATE '2026-04-15'), DATE_TRUNC(DATE '2026-04-15', MONTH), DAY) + 1", [(30, 30)]),
    ("billing's Pacific month", "SELECT TIMESTAMP_TRUNC(TIMESTAMP '2026-04-01 05:00:00+00', MONTH, 'America/Los_Angeles'), DATE(TIMESTAMP '2026-04-01 05:00:00+00', 'America/Los_Angeles'), FORMAT_TIMESTAMP('%Y%m', TIMESTAMP '2026-04-01 05:00:00+00', 'America/Los_Angeles')", [(utc(2026, 3, 1, 8), date(2026, 3, 31), "202603")]),
    ("a day when the clock changes", "SELECT TIMESTAMP_TRUNC(TIMESTAMP '2026-03-08 20:00:00+00', DAY, 'America/Los_Angeles'), TIMESTAMP_TRUNC(TIMESTAMP '2026-03-09 12:00:00+00', DAY, 'America/Los_Angeles'), TIMESTAMP_TRUNC(TIMESTAMP '2026-03-08 20:40:00+00', HOUR, 'America/Los_Angeles')", [(utc(2026, 3, 8, 8), utc(2026, 3, 9, 7), utc(2026, 3, 8, 20))]),
    ("times to an instant", "SELECT TIMESTAMP(DATE '2026-04-01', 'America/Los_Angeles'), TIMESTAMP('2026-04-01 00:00:00', 'America/Los_Angeles'), TIMESTAMP '2026-04-01 00:00:00-07', TIMESTAMP(DATETIME '2026-04-01 01:00:00'), TIMESTAMP '2026-04-01 00:00:00 America/Los_Angeles', TIMESTAMP('2026-04-01T00:00:00Z')", [(utc(2026, 4, 1, 7), utc(2026, 4, 1, 7), utc(2026, 4, 1, 7), utc(2026, 4, 1, 1), utc(2026, 4, 1, 7), utc(2026, 4, 1))]),
    ("an instant to times", "SELECT DATE(t), DATE(t, '+03:00'), DATETIME(t, 'America/Los_Angeles'), TIME(t), EXTRACT(HOUR FROM t AT TIME ZONE 'Asia/Tokyo'), EXTRACT(DATE FROM t), EXTRACT(TIME FROM t) FROM (SELECT TIMESTAMP '2026-04-01 22:30:00+00' AS t)", [(date(2026, 4, 1), date(2026, 4, 2), datetime(2026, 4, 1, 15, 30), time(22, 30), 7, date(2026, 4, 1), time(22, 30))]),
    ("built from parts", "SELECT DATE(2026, 4, 1), DATETIME(2026, 4, 1, 1, 2, 3), TIME(1, 2, 3), DATETIME(DATE '2026-04-01', TIME '10:00:00'), DATE(DATETIME '2026-04-01 23:00:00')", [(date(2026, 4, 1), datetime(2026, 4, 1, 1, 2, 3), time(1, 2, 3), datetime(2026, 4, 1, 10), date(2026, 4, 1))]),
    ("casts of times", "SELECT CAST('2026-04-01' AS DATE), CAST(TIMESTAMP '2026-04-01 23:00:00+00' AS DATE), CAST(DATE '2026-04-01' AS TIMESTAMP), CAST(DATE '2026-04-01' AS DATETIME), CAST('2026-04-01 10:00:00' AS DATETIME), CAST('2026-04-01 10:00:00+02' AS TIMESTAMP), CAST(DATETIME '2026-04-01 10:00:00' AS TIMESTAMP)", [(date(2026, 4, 1), date(2026, 4, 1), utc(2026, 4, 1), datetime(2026, 4, 1), datetime(2026, 4, 1, 10), utc(2026, 4, 1, 8), utc(2026, 4, 1, 10))]),
    ("dates as text", "SELECT FORMAT_DATE('%b %d, %Y', d), FORMAT_DATE('%Y%m', d), FORMAT_DATE('%A %a %u %w', d), FORMAT_DATE('%B %y', d), FORMAT_DATE('%j', d), FORMAT_DATE('%e', d), FORMAT_DATE('%D', d), FORMAT_DATE('%F', d) FROM (SELECT DATE '2026-04-01' AS d)", [("Apr 01, 2026", "202604", "Wednesday Wed 3 3", "April 26", "091", " 1", "04/01/26", "2026-04-01")]),
    ("quarters and ISO weeks as text", "SELECT FORMAT_DATE('%Y-Q%Q', DATE '2026-04-01'), FORMAT_DATE('%G-W%V', DATE '2027-01-01'), FORMAT_DATE('%U', DATE '2026-01-04'), FORMAT_DATE('%x', DATE '2026-04-01')", [("2026-Q2", "2026-W53", "01", "04/01/26")]),
    ("instants as text", "SELECT FORMAT_TIMESTAMP('%Y-%m-%dT%H:%M:%SZ', t), FORMAT_TIMESTAMP('%I:%M %p', t), FORMAT_TIMESTAMP('%F %T', t, 'America/Los_Angeles'), FORMAT_TIMESTAMP('%s', t), FORMAT_TIMESTAMP('%R', t), FORMAT_TIMESTAMP('%E3S', t), FORMAT_TIMESTAMP('%c', t) FROM (SELECT TIMESTAMP '2026-04-01 22:30:05.5+00' AS t)", [("2026-04-01T22:30:05Z", "10:30 PM", "2026-04-01 15:30:05", "1775082605", "22:30", "05.500", "Wed Apr  1 22:30:05 2026")]),
    ("zones as text", "SELECT FORMAT_TIMESTAMP('%Z', t), FORMAT_TIMESTAMP('%z', t), FORMAT_TIMESTAMP('%Ez', t, 'America/Los_Angeles') FROM (SELECT TIMESTAMP '2026-04-01 22:30:05+00' AS t)", [("UTC", "+0000", "-07:00")]),
    ("DATETIME and TIME as text", "SELECT FORMAT_DATETIME('%Y/%m/%d %H', DATETIME '2026-04-01 22:30:00'), FORMAT_TIME('%H:%M', TIME '22:30:00')", [("2026/04/01 22", "22:30")]),
    ("text to dates", "SELECT PARSE_DATE('%Y%m', '202604'), PARSE_DATE('%Y%m%d', '20260401'), PARSE_DATE('%m/%d/%Y', '04/01/2026'), PARSE_DATE('%b %d %Y', 'Apr 1 2026'), PARSE_DATE('%F', '2026-04-01'), PARSE_DATE('%B %Y', 'April 2026')", [(date(2026, 4, 1),) * 6]),
    ("text to instants", "SELECT PARSE_TIMESTAMP('%Y-%m-%dT%H:%M:%SZ', '2026-04-01T10:00:00Z'), PARSE_TIMESTAMP('%Y%m', '202604', 'America/Los_Angeles'), PARSE_TIMESTAMP('%F %T', '2026-04-01 10:00:00'), PARSE_TIMESTAMP('%F %H:%M:%E*S', '2026-04-01 10:00:00.25'), PARSE_DATETIME('%F %T', '2026-04-01 10:00:00')", [(utc(2026, 4, 1, 10), utc(2026, 4, 1, 7), utc(2026, 4, 1, 10), utc(2026, 4, 1, 10, 0, 0, 250000), datetime(2026, 4, 1, 10))]),
    ("seconds since 1970", "SELECT UNIX_SECONDS(TIMESTAMP '2026-04-01 00:00:00+00'), TIMESTAMP_SECONDS(1775001600), UNIX_MILLIS(TIMESTAMP '1970-01-01 00:00:01+00'), TIMESTAMP_MILLIS(1500), UNIX_DATE(DATE '1970-01-02'), DATE_FROM_UNIX_DATE(1), UNIX_MICROS(TIMESTAMP '1970-01-01 00:00:01+00'), TIMESTAMP_MICROS(5)", [(1775001600, utc(2026, 4, 1), 1000, utc(1970, 1, 1, 0, 0, 1, 500000), 1, date(1970, 1, 2), 1000000, utc(1970, 1, 1, 0, 0, 0, 5))]),
    ("arrays of dates", "SELECT GENERATE_DATE_ARRAY('2026-01-01', '2026-03-01', INTERVAL 1 MONTH), GENERATE_DATE_ARRAY('2026-01-01', '2026-01-15', INTERVAL 1 WEEK), GENERATE_DATE_ARRAY('2026-01-02', '2026-01-01'), GENERATE_DATE_ARRAY('2026-01-03', '2026-01-01', INTERVAL -1 DAY)", [([date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1)], [date(2026, 1, 1), date(2026, 1, 8), date(2026, 1, 15)], [], [date(2026, 1, 3), date(2026, 1, 2), date(2026, 1, 1)])]),
    ("arrays of instants", "SELECT GENERATE_TIMESTAMP_ARRAY('2026-01-01 00:00:00+00', '2026-01-01 02:00:00+00', INTERVAL 1 HOUR)", [([utc(2026, 1, 1), utc(2026, 1, 1, 1), utc(2026, 1, 1, 2)],)]),
    ("other arithmetic", "SELECT TIMESTAMP_ADD(TIMESTAMP '2026-01-01 00:00:00+00', INTERVAL 36 HOUR), TIMESTAMP_SUB(TIMESTAMP '2026-01-01 00:00:00+00', INTERVAL 1 DAY), DATETIME_ADD(DATETIME '2026-01-31 10:00:00', INTERVAL 1 MONTH), DATETIME_SUB(DATETIME '2026-01-01', INTERVAL 1 SECOND), TIME_ADD(TIME '23:30:00', INTERVAL 1 HOUR)", [(utc(2026, 1, 2, 12), utc(2025, 12, 31), datetime(2026, 2, 28, 10), datetime(2025, 12, 31, 23, 59, 59), time(0, 30))]),
    ("truncated DATETIME and TIME", "SELECT DATETIME_TRUNC(DATETIME '2026-04-01 10:45:30', HOUR), DATETIME_TRUNC(DATETIME '2026-04-01 10:45:30', WEEK), TIME_TRUNC(TIME '10:45:30', MINUTE)", [(datetime(2026, 4, 1, 10), datetime(2026, 3, 29), time(10, 45))]),
    ("weeks that begin on another day", "SELECT EXTRACT(WEEK(WEDNESDAY) FROM DATE '2026-01-06'), EXTRACT(WEEK(WEDNESDAY) FROM DATE '2026-01-07'), EXTRACT(WEEK(SUNDAY) FROM DATE '2026-01-04'), DATE_DIFF('2026-01-07', '2026-01-06', WEEK(WEDNESDAY))", [(0, 1, 1, 1)]),
    ("the last day of the ISO year", "SELECT LAST_DAY(DATE '2026-06-01', ISOYEAR), LAST_DAY(DATE '2026-12-31', ISOYEAR), LAST_DAY(DATETIME '2024-02-01 10:00:00')", [(date(2027, 1, 3), date(2027, 1, 3), date(2024, 2, 29))]),
    ("seconds before 1970", "SELECT UNIX_SECONDS(TIMESTAMP '1969-12-31 23:59:59.5+00'), UNIX_MILLIS(TIMESTAMP '1969-12-31 23:59:59.9995+00'), TIMESTAMP_SECONDS(-1)", [(-1, -1, utc(1969, 12, 31, 23, 59, 59))]),
    ("the clock goes round", "SELECT TIME_ADD(TIME '23:59:59', INTERVAL 2 SECOND), TIME_SUB(TIME '00:00:00', INTERVAL 1 MINUTE), TIME_DIFF(TIME '11:00:00', TIME '10:59:00', HOUR)", [(time(0, 0, 1), time(23, 59), 1)]),
    ("STRING of times", "SELECT STRING(DATE '2026-01-02'), STRING(DATETIME '2026-01-02 03:04:05.5'), STRING(TIME '03:04:05'), STRING(TIMESTAMP '2026-01-02 12:00:00.000001+00', 'Asia/Kolkata')", [("2026-01-02", "2026-01-02 03:04:05.500", "03:04:05", "2026-01-02 17:30:00.000001+05:30")]),
    ("a format from a column", "SELECT FORMAT_DATE(f, DATE '2026-04-01'), PARSE_DATE(f, '202604') FROM (SELECT '%Y%m' AS f)", [("202604", date(2026, 4, 1))]),
    ("offsets in texts", "SELECT PARSE_TIMESTAMP('%F %T%z', '2026-04-01 10:00:00+0200'), PARSE_TIMESTAMP('%FT%T%Ez', '2026-04-01T10:00:00-07:00'), PARSE_TIMESTAMP('%I:%M %p %F', '12:30 AM 2026-04-01'), PARSE_TIMESTAMP('%F %T', '2026-04-01 10:00:00', '+05:30')", [(utc(2026, 4, 1, 8), utc(2026, 4, 1, 17), utc(2026, 4, 1, 0, 30), utc(2026, 4, 1, 4, 30))]),
    ("times of NULL", "SELECT FORMAT_DATE('%Q', NULL), PARSE_DATE('%F', NULL), UNIX_SECONDS(NULL), LAST_DAY(NULL), DATE_DIFF(NULL, DATE '2026-01-01', DAY), DATE_TRUNC(CAST(NULL AS DATE), WEEK)", [(None,) * 6]),
    ("now", "SELECT CURRENT_DATE('America/Los_Angeles') = DATE(CURRENT_TIMESTAMP(), 'America/Los_Angeles'), CURRENT_DATE() = DATE(CURRENT_TIMESTAMP()), CURRENT_DATE = EXTRACT(DATE FROM CURRENT_TIMESTAMP), CURRENT_DATETIME() = DATETIME(CURRENT_TIMESTAMP())", [(True, True, True, True)]),
    ("texts beside times are times", "SELECT DATE '2026-04-01' BETWEEN '2026-03-31' AND '2026-04-02', TIMESTAMP '2026-04-01 00:00:00+00' >= '2026-04-01', DATE '2026-04-01' IN ('2026-04-01')", [(True, True, True)]),
    ("the last days up to today", "SELECT COUNT(*) FROM UNNEST(GENERATE_DATE_ARRAY(DATE_SUB(CURRENT_DATE(), INTERVAL 29 DAY), CURRENT_DATE())) AS d", [(30,)]),
    ("the month before", "SELECT DATE_TRUNC(DATE_SUB(DATE '2026-03-31', INTERVAL 1 MONTH), MONTH), FORMAT_DATE('%Y%m', DATE_SUB(DATE_TRUNC(DATE '2026-01-15', MONTH), INTERVAL 1 DAY))", [(date(2026, 2, 1), "202512")]),
    ("fiscal year from February", "SELECT EXTRACT(YEAR FROM DATE_ADD(d, INTERVAL 11 MONTH)) FROM UNNEST([DATE '2026-01-31', DATE '2026-02-01']) AS d ORDER BY d", [(2026,), (2027,)]),
    ("hours between", "SELECT SUM(TIMESTAMP_DIFF(e, s, MINUTE)) / 60 FROM (SELECT TIMESTAMP '2026-01-01 00:00:00+00' AS s, TIMESTAMP '2026-01-01 01:30:00+00' AS e)", [(1.5,)]),
    ("MIN and MAX of times", "SELECT MIN(d), MAX(d) FROM UNNEST([DATE '2026-01-02', NULL, DATE '2025-01-02']) AS d", [(date(2025, 1, 2), date(2026, 1, 2))]),
    ("a moving window of days", "SELECT d, SUM(v) OVER (ORDER BY UNIX_DATE(d) RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) AS s FROM (SELECT DATE '2026-01-01' AS d, 1 AS v UNION ALL SELECT DATE '2026-01-02', 2 UNION ALL SELECT DATE '2026-01-05', 4) ORDER BY d", [(date(2026, 1, 1), 1), (date(2026, 1, 2), 3), (date(2026, 1, 5), 4)]),
]  # fmt: skip

ERRORS: list[tuple[str, str]] = [
    ("a day that the month does not have", "SELECT DATE '2026-02-30'"),
    ("DATE_ADD by hours", "SELECT DATE_ADD(DATE '2026-01-01', INTERVAL 1 HOUR)"),
    ("DATE_TRUNC to an hour", "SELECT DATE_TRUNC(DATE '2026-01-01', HOUR)"),
    ("EXTRACT an hour of a date", "SELECT EXTRACT(HOUR FROM DATE '2026-01-01')"),
    ("TIMESTAMP_ADD by months", "SELECT TIMESTAMP_ADD(TIMESTAMP '2026-01-01 00:00:00+00', INTERVAL 1 MONTH)"),
    ("TIMESTAMP_DIFF in months", "SELECT TIMESTAMP_DIFF(TIMESTAMP '2026-02-01 00:00:00+00', TIMESTAMP '2026-01-01 00:00:00+00', MONTH)"),
    ("a zone that there is not", "SELECT DATE(CURRENT_TIMESTAMP(), 'America/Atlantis')"),
    ("text that the format does not use up", "SELECT PARSE_DATE('%Y-%m-%d', '2026-04-01 extra')"),
    ("a month of 13", "SELECT PARSE_DATE('%Y%m', '202613')"),
    ("a DATE against a TIMESTAMP_DIFF", "SELECT TIMESTAMP_DIFF(CURRENT_DATE(), CURRENT_TIMESTAMP(), DAY)"),
    ("UNIX_SECONDS of a date", "SELECT UNIX_SECONDS(DATE '2026-01-01')"),
    ("TIME_TRUNC to a day", "SELECT TIME_TRUNC(TIME '10:00:00', DAY)"),
    ("a TIMESTAMP plus a month", "SELECT TIMESTAMP '2026-01-01 00:00:00+00' + INTERVAL 1 MONTH"),
    ("a date plus a float", "SELECT DATE '2026-01-01' + 1.5"),
    ("FORMAT_TIMESTAMP of a date", "SELECT FORMAT_TIMESTAMP('%F', d) FROM (SELECT DATE '2026-01-01' AS d)"),
    ("DATE_ADD of a text column", "SELECT DATE_ADD(s, INTERVAL 1 DAY) FROM (SELECT '2026-01-01' AS s)"),
    ("TIMESTAMP minus a number", "SELECT CURRENT_TIMESTAMP() - 1"),
    ("DATE_DIFF of TIMESTAMP and DATE", "SELECT DATE_DIFF(CURRENT_TIMESTAMP(), CURRENT_DATE(), DAY)"),
]  # fmt: skip
