"""Where tenants' tables live: one narrow port, and its adapters."""
