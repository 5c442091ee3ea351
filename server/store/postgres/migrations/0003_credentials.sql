-- works with: 2
-- What tenants gave to act for them at a provider: each secret encrypted, NULL when it is destroyed.
CREATE TABLE credentials (
    tenant_id    TEXT COLLATE "C" NOT NULL,
    name         TEXT COLLATE "C" NOT NULL,
    version      BIGINT NOT NULL,
    kind         TEXT NOT NULL,
    fingerprint  TEXT NOT NULL,
    key_id       TEXT NOT NULL,
    wrapped_key  BYTEA,
    ciphertext   BYTEA,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT,
    checked_at   BIGINT,
    check_status TEXT NOT NULL DEFAULT '',
    deleted_at   BIGINT,
    request      TEXT,
    content_hash TEXT,
    PRIMARY KEY (tenant_id, name, version)
);
CREATE UNIQUE INDEX credentials_of_request ON credentials (tenant_id, request) WHERE request IS NOT NULL;
CREATE INDEX credentials_under_key ON credentials (key_id, tenant_id, name, version) WHERE ciphertext IS NOT NULL;
CREATE INDEX credentials_there ON credentials (tenant_id, name, version) WHERE ciphertext IS NOT NULL;
