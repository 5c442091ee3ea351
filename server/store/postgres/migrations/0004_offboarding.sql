-- works with: 3
-- The run that removes an offboarded tenant's dataset, and what has become of that.
ALTER TABLE tenants ADD COLUMN offboarding_run TEXT NOT NULL DEFAULT '';
ALTER TABLE tenants ADD COLUMN dataset_state TEXT NOT NULL DEFAULT '';
