ALTER TABLE tenants ADD COLUMN maximum_bytes_billed INTEGER;
