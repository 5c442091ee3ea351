-- works with: 1
-- The tables of the central dataset show tenants and keys that there are already. A worker of an older version that runs
-- beside drops what it finds here: `convergence admin mirror rebuild tenants` brings it back.
INSERT INTO outbox (tenant_id, kind, key) SELECT 'tenants', 'tenant', tenant_id FROM tenants;
INSERT INTO outbox (tenant_id, kind, key) SELECT 'tenants', 'api_key', key_id FROM api_keys;
