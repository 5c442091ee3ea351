"""Rows about SQL: values that are to become a part of it, and statements that a tenant may not run."""

from tests.e2e.hostile.rows import Row, sql

WRONG_VALUE = "SQL_VALUE_NOT_ALLOWED"
BARE = "SELECT n FROM (SELECT 1 AS n) AS t WHERE n > {value}"
NAMED = "SELECT 1 AS n FROM `{value}`"
PART = "SELECT 1 AS n_{value}"


def bare(name: str, value: str, reason: str = WRONG_VALUE) -> Row:
    return sql(name, reason, BARE, value=value)


def named(name: str, value: str, reason: str = WRONG_VALUE) -> Row:
    return sql(name, reason, NAMED, value=value)


VALUES = [
    bare("a condition in place of a number", "1 OR 1=1"),
    bare("a second statement in place of a number", "1; DROP TABLE x"),
    bare("the start of a comment", "1--"),
    bare("a comment in place of a number", "/**/1"),
    bare("a query in place of a number", "(SELECT 1)"),
    bare("a call in place of a number", "SESSION_USER()"),
    bare("a quoted text in place of a number", "'1'"),
    bare("a name in backticks in place of a number", "`n`"),
    bare("nothing in place of a number", "NULL"),
    bare("nothing at all in place of a number", ""),
    bare("a keyword in place of a name", "FROM"),
    bare("a path in place of a name", "rival_corp.costs"),
    bare("two lines in place of a number", "1\n2"),
    bare("a number of other digits", "١"),
    bare("a parameter", "@@project_id"),
    sql("the rest of a name is SQL", WRONG_VALUE, PART, value="x, * FROM rival_corp.costs"),
    sql("the rest of a name is a dot", WRONG_VALUE, PART, value="x.y"),
    named("the end of the backticks", "a.b.c` UNION ALL SELECT * FROM `rival_corp.costs"),
    named("a backslash in backticks", "a.b.c\\"),
    named("a folder in backticks", "../../etc/passwd"),
    named("a wildcard in the middle", "acme_corp.cost*s"),
    named("four parts", "a..b.c"),
    named("a line break in backticks", "acme_corp.\ncosts"),
    named("another tenant in capitals", "RIVAL_CORP.costs", "TABLE_NOT_ALLOWED"),
    named("another tenant by wildcard", "rival_corp.*", "TABLE_NOT_ALLOWED"),
    named("the catalogue of DuckDB", "pg_catalog.pg_tables", "TABLE_NOT_ALLOWED"),
    named("the central dataset by wildcard", "tenants.tenant_*", "OTHER_TENANT"),
    named("the own keys in capitals", "acme_corp.X_META_API_KEYS", "METADATA_NOT_ALLOWED"),
    named("the own keys of a day", "acme_corp.x_meta_api_keys$20251118", "METADATA_NOT_ALLOWED"),
    named("the own credentials by a short wildcard", "acme_corp.x_meta_c*", "METADATA_NOT_ALLOWED"),
    named("everybody's jobs", "region-us.INFORMATION_SCHEMA.JOBS_BY_PROJECT", "METADATA_NOT_ALLOWED"),
    named("another project", "somebody-elses.billing.costs", "TABLE_NOT_ALLOWED"),
    sql("a value in a comment", "SQL_POSITION_NOT_ALLOWED", "SELECT 1 AS n /* {value} */", value="*/, 2"),
    sql("a value as a function's name", "SQL_POSITION_NOT_ALLOWED", "SELECT {value}(1) AS n", value="ABS"),
    sql("a value in a raw string", "SQL_POSITION_NOT_ALLOWED", "SELECT r'{value}' AS n", value="\\' OR '1"),
]

NO_SELECT, NO_FUNCTION, SYNTAX, LARGE = "SQL_NOT_A_SELECT", "SQL_FUNCTION_NOT_ALLOWED", "SQL_SYNTAX", "SQL_TOO_LARGE"
SEVERAL, FOREIGN = "SQL_SEVERAL_STATEMENTS", "OTHER_TENANT"

STATEMENTS = [
    sql("an insert", NO_SELECT, "INSERT INTO acme_corp.costs SELECT 1"),
    sql("an update", NO_SELECT, "UPDATE acme_corp.costs SET n = 0 WHERE TRUE"),
    sql("a merge", NO_SELECT, "MERGE a USING b ON FALSE WHEN NOT MATCHED THEN INSERT ROW"),
    sql("a drop", NO_SELECT, "DROP SCHEMA acme_corp CASCADE"),
    sql("a new function", NO_SELECT, "CREATE TEMP FUNCTION f() RETURNS INT64 LANGUAGE js AS 'return 1'"),
    sql("a grant", NO_SELECT, "GRANT `roles/bigquery.admin` ON SCHEMA acme_corp TO 'user:x@example.com'"),
    sql("a call", NO_SELECT, "CALL BQ.REFRESH_MATERIALIZED_VIEW('x')"),
    sql("SQL made of text", NO_SELECT, "EXECUTE IMMEDIATE 'DROP TABLE x'"),
    sql("an export", NO_SELECT, "EXPORT DATA OPTIONS (uri = 'gs://x/*') AS SELECT 1"),
    sql("a script", NO_SELECT, "BEGIN SELECT 1; END"),
    sql("a declaration", NO_SELECT, "DECLARE x INT64 DEFAULT 1"),
    sql("a setting of DuckDB", NO_SELECT, "SET enable_external_access = true"),
    sql("a pragma", NO_SELECT, "PRAGMA database_list"),
    sql("another database", NO_SELECT, "ATTACH '/tmp/other.db' AS other"),
    sql("a copy to a file", NO_SELECT, "COPY (SELECT 1) TO '/tmp/stolen.csv'"),
    sql("an extension", NO_SELECT, "INSTALL httpfs"),
    sql("a query behind a comment's end", SEVERAL, "SELECT 1 AS n /* ; */ ; DROP TABLE x"),
    sql("a comment that ends early for some", SYNTAX, "SELECT 1 AS n -- \r; DROP TABLE x"),
    sql("a blank of no width", SYNTAX, "SELECT\u200b1 AS n"),
    sql("a text without end", SYNTAX, "SELECT 'x AS n"),
    sql("a comment without end", SYNTAX, "SELECT 1 AS n /* x"),
    sql("a parameter of a query", SYNTAX, "SELECT @@session_id AS n"),
    sql("a place for a value", SYNTAX, "SELECT ? AS n"),
    sql("a query without columns", SYNTAX, "SELECT FROM acme_corp.costs"),
    sql("nothing but a comment", SYNTAX, "-- SELECT 1"),
    sql("a pipe", NO_SELECT, "SELECT 1 AS n |> DROP n"),
    sql("a pipe from a table", NO_SELECT, "FROM rival_corp.costs |> SELECT *"),
    sql("a table and no query", NO_SELECT, "TABLE rival_corp.costs"),
    sql("a file as table", "INVALID_TABLE_NAME", "SELECT * FROM '/etc/passwd'"),
    sql("a file by a function", NO_FUNCTION, "SELECT * FROM read_text('/etc/passwd')"),
    sql("a variable of the process", NO_FUNCTION, "SELECT getenv('PATH') AS n"),
    sql("the secrets of DuckDB", NO_FUNCTION, "SELECT * FROM duckdb_secrets()"),
    sql("another database's query", NO_FUNCTION, "SELECT * FROM EXTERNAL_QUERY('us.x', 'SELECT 1')"),
    sql("a model", NO_FUNCTION, "SELECT * FROM ML.PREDICT(MODEL m, (SELECT 1))"),
    sql("a function of another dataset", NO_FUNCTION, "SELECT rival_corp.f(1) AS n"),
    sql("the service's account", NO_FUNCTION, "SELECT SESSION_USER() AS n"),
    sql("a function in backticks", NO_FUNCTION, "SELECT `rival_corp.f`(1) AS n"),
    sql("a function with a comment in its name", NO_FUNCTION, "SELECT SESSION_USER/**/() AS n"),
    sql("brackets without end", LARGE, f"SELECT {'(' * 5_000}1{')' * 5_000} AS n"),
    sql(
        "a thousand joins and one",
        LARGE,
        f"SELECT 1 AS n FROM t0{''.join(f' JOIN t{n} USING (k)' for n in range(1, 1_002))}",
    ),
    sql("another tenant in a subquery", FOREIGN, "SELECT 1 AS n WHERE EXISTS (SELECT 1 FROM rival_corp.costs)"),
    sql(
        "another tenant in a limit",
        FOREIGN,
        "SELECT n FROM (SELECT 1 AS n UNION ALL SELECT cost FROM rival_corp.costs)",
    ),
    sql(
        "another tenant behind a name that is shadowed",
        FOREIGN,
        "WITH costs AS (SELECT 1 AS n) SELECT c.n FROM costs AS c, rival_corp.costs",
    ),
    sql("another tenant behind an own name", FOREIGN, "SELECT acme_corp.n FROM rival_corp.costs AS acme_corp"),
    sql(
        "another tenant in a window",
        FOREIGN,
        "SELECT 1 AS n QUALIFY ROW_NUMBER() OVER (ORDER BY (SELECT MAX(n) FROM rival_corp.costs)) = 1",
    ),
    sql("another tenant by project and case", FOREIGN, "SELECT * FROM `gac-prod-471220`.`Rival_Corp`.`costs`"),
    sql("another tenant in one pair of backticks", FOREIGN, "SELECT * FROM `gac-prod-471220.rival_corp.costs`"),
    sql("another tenant with a comment in its name", FOREIGN, "SELECT * FROM rival_corp/**/./**/costs"),
    sql("the keys of all tenants", FOREIGN, "SELECT * FROM tenants.tenant_api_keys"),
    sql("the own keys in a subquery", "METADATA_NOT_ALLOWED", "SELECT (SELECT COUNT(*) FROM x_meta_api_keys) AS n"),
    sql("the tables of another tenant", "METADATA_NOT_ALLOWED", "SELECT * FROM other_corp.INFORMATION_SCHEMA.COLUMNS"),
    sql("the list of tables of another tenant", "METADATA_NOT_ALLOWED", "SELECT * FROM other_corp.__TABLES__"),
]
