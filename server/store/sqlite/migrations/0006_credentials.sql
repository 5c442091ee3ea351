-- works with: 5
-- What tenants gave to act for them at a provider: each secret encrypted, NULL when it is destroyed.
CREATE TABLE credentials (
    tenant_id    TEXT NOT NULL,
    name         TEXT NOT NULL,
    version      INTEGER NOT NULL,
    kind         TEXT NOT NULL,
    fingerprint  TEXT NOT NULL,
    key_id       TEXT NOT NULL,
    wrapped_key  BLOB,
    ciphertext   BLOB,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    checked_at   INTEGER,
    check_status TEXT NOT NULL DEFAULT '',
    deleted_at   INTEGER,
    request      TEXT,
    content_hash TEXT,
    PRIMARY KEY (tenant_id, name, version)
) STRICT;
CREATE UNIQUE INDEX credentials_of_request ON credentials (tenant_id, request) WHERE request IS NOT NULL;
CREATE INDEX credentials_under_key ON credentials (key_id, tenant_id, name, version) WHERE ciphertext IS NOT NULL;
CREATE INDEX credentials_there ON credentials (tenant_id, name, version) WHERE ciphertext IS NOT NULL;
