-- works with: 1
-- The request that made a key, so that its repetition makes no second one.
ALTER TABLE api_keys ADD COLUMN request TEXT;
ALTER TABLE api_keys ADD COLUMN content_hash TEXT;
-- The key that was made in its place.
ALTER TABLE api_keys ADD COLUMN successor TEXT;
CREATE UNIQUE INDEX api_keys_of_request ON api_keys (COALESCE(tenant_id, ''), request) WHERE request IS NOT NULL;

-- Who changed what, when, and from where; rows are only ever added.
CREATE TABLE audit (
    number    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time      BIGINT NOT NULL,
    tenant_id TEXT COLLATE "C",
    key_id    TEXT NOT NULL,
    peer      TEXT NOT NULL,
    action    TEXT NOT NULL,
    subject   TEXT NOT NULL,
    details   TEXT NOT NULL
);
CREATE INDEX audit_of_tenant ON audit (tenant_id, number);
