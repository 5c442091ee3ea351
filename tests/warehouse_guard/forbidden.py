"""Statements that no tenant may run, with queries of the grammar inside."""

from typing import Any

from hypothesis import strategies as st

from tests.warehouse_guard.grammar import queries, written

# `{q}` is a query.
_STATEMENTS = """
CREATE TABLE d AS {q}
CREATE OR REPLACE TABLE acme.d PARTITION BY day AS ( {q} )
CREATE TEMP TABLE d AS {q}
CREATE VIEW d AS {q}
CREATE MATERIALIZED VIEW d AS {q}
CREATE TABLE FUNCTION f ( n INT64 ) AS ( {q} )
CREATE TEMP FUNCTION f ( ) AS ( ( {q} ) ) ; SELECT f ( )
CREATE MODEL acme.m OPTIONS ( model_type = 'linear_reg' ) AS {q}
CREATE PROCEDURE p ( ) BEGIN {q} ; END
CREATE TABLE d CLONE globex.secret
CREATE SCHEMA d
DROP TABLE t
DROP SCHEMA acme CASCADE
ALTER TABLE t ADD COLUMN c INT64
TRUNCATE TABLE t
INSERT INTO t ( x ) {q}
INSERT t {q}
UPDATE t SET x = 1 WHERE x IN ( {q} )
DELETE FROM t WHERE x IN ( {q} )
DELETE t WHERE EXISTS ( {q} )
MERGE t USING ( {q} ) AS n ON FALSE WHEN NOT MATCHED THEN INSERT ROW
WITH c AS ( {q} ) INSERT INTO t SELECT * FROM c
WITH c AS ( DELETE FROM t WHERE TRUE ) {q}
EXPORT DATA OPTIONS ( uri = 'gs://b/*' , format = 'CSV' ) AS {q}
LOAD DATA INTO t FROM FILES ( format = 'CSV' , uris = [ 'gs://b/f' ] )
EXECUTE IMMEDIATE 'SELECT 1'
EXECUTE IMMEDIATE ( {q} )
CALL p ( ( {q} ) )
CALL BQ.JOBS.CANCEL ( 'j' )
DECLARE n INT64 DEFAULT ( {q} )
SET n = ( {q} )
BEGIN {q} ; END
BEGIN TRANSACTION ; {q} ; COMMIT TRANSACTION
IF EXISTS ( {q} ) THEN SELECT 1 ; END IF
FOR r IN ( {q} ) DO SELECT 1 ; END FOR
WHILE ( {q} ) = 1 DO SELECT 1 ; END WHILE
LOOP {q} ; END LOOP
REPEAT {q} ; UNTIL TRUE END REPEAT
RAISE USING MESSAGE = 'm'
ASSERT EXISTS ( {q} )
EXPLAIN {q}
GRANT `roles/owner` ON TABLE t TO 'user:u@example.com'
{q} ; {q}
{q} ; DROP TABLE t
{q} ; ; SELECT 1
; {q}
( {q} ) |> WHERE x = 1
FROM t |> SELECT x
FROM ( {q} ) |> SELECT x
""".strip().splitlines()
_ITEMS = """
EXTERNAL_QUERY ( 'my-project.us.c' , 'SELECT 1' )
`EXTERNAL_QUERY` ( 'my-project.us.c' , 'SELECT 1' )
ML.PREDICT ( MODEL acme.m , ( {q} ) )
ML.PREDICT ( MODEL acme.m , TABLE globex.secret )
ML . FORECAST ( MODEL acme.m )
AI.FORECAST ( ( {q} ) , data_col => 'x' )
VECTOR_SEARCH ( TABLE t , 'x' , ( {q} ) )
APPENDS ( TABLE globex.secret , NULL , NULL )
CHANGES ( TABLE t , NULL , CURRENT_TIMESTAMP ( ) )
GAP_FILL ( ( {q} ) , ts_column => 'x' )
RANGE_SESSIONIZE ( ( {q} ) , 'x' , [ 'y' ] , 1 )
f ( 1 )
acme.f ( ( {q} ) )
`my-project.acme.f` ( 1 )
my-project.acme.f ( TABLE globex.secret )
OBJ.LIST ( 'gs://b' )
read_csv ( '/etc/passwd' )
glob ( '/*' )
query ( 'SELECT 1' )
duckdb_settings ( )
LATERAL ( {q} )
( TABLE globex.secret )
@table
""".strip().splitlines()
_VALUES = """
f ( 1 )
acme.f ( ( {q} ) )
`f` ( 1 )
SAFE.f ( 1 )
acme.SUM ( 1 )
my-project.acme.f ( 1 )
SESSION_USER ( )
CURRENT_USER
KEYS.NEW_KEYSET ( 'AEAD_AES_GCM_256' )
AEAD.DECRYPT_STRING ( b'k' , b'c' , '' )
AI.GENERATE ( 'p' , connection_id => 'us.c' )
ML.DISTANCE ( [ 1.0 ] , [ 2.0 ] )
OBJ.GET_ACCESS_URL ( NULL , 'r' )
ARRAY ( DELETE FROM t WHERE TRUE )
getenv ( 'HOME' )
current_setting ( 'x' )
@x
@@project_id
?
( SELECT x -> 1 )
""".strip().splitlines()
_PLACES = """
{bad}
( {bad} )
SELECT * FROM ( {bad} ) AS z
( {q} ) UNION ALL {bad}
( {bad} ) EXCEPT DISTINCT ( {q} )
WITH c AS ( {bad} ) SELECT * FROM ( {q} ) AS z
WITH RECURSIVE c AS ( ( {q} ) UNION ALL {bad} ) SELECT * FROM c
SELECT ( {bad} ) AS x
SELECT ARRAY ( {bad} ) AS x FROM ( {q} ) AS z
SELECT 1 AS x FROM ( {q} ) AS z WHERE EXISTS ( {bad} )
SELECT 1 AS x FROM UNNEST ( ARRAY ( {bad} ) ) AS e
SELECT 1 AS x FROM t GROUP BY y HAVING COUNT ( * ) IN ( {bad} )
SELECT 1 AS x FROM t QUALIFY ROW_NUMBER ( ) OVER ( ORDER BY ( {bad} ) ) = 1
SELECT 1 AS x FROM t JOIN u ON t.x = ( {bad} )
SELECT 1 AS x FROM t ORDER BY ( {bad} )
""".strip().splitlines()
_SELECTS = [
    *(f"SELECT 1 AS x FROM {item}" for item in _ITEMS),
    *(f"SELECT 1 AS x FROM t , {item} AS f" for item in _ITEMS),
    *(f"SELECT {value} AS x FROM t" for value in _VALUES),
    *(f"SELECT x FROM t WHERE x = {value}" for value in _VALUES),
]


@st.composite
def forbidden_statements(draw: Any) -> tuple[str, str]:
    """A statement that must never pass, whichever tables it reads; and the same around SELECT 1, if it can be."""
    statement = draw(st.sampled_from(_STATEMENTS) | st.sampled_from(_PLACES))
    change = draw(st.sampled_from([str, str, str.lower]))
    query = draw(queries(size=1))

    def filled(bad: str) -> str:
        parts = statement.replace("{bad}", bad).split(" ")
        words = [query.words if part == "{q}" else [change(part)] for part in parts]
        return written([word for some in words for word in some], query.spaces)

    bad = draw(st.sampled_from(_SELECTS))
    return filled(bad), filled("SELECT 1 AS x") if "{bad}" in statement and query.is_clear else ""
