"""The ControlStore port in SQL that SQLite and PostgreSQL both speak; what differs is behind `database`.

Placeholders are `?`. A transaction that changes runs locks in one order, so that none waits for another in a circle:
the tenant's row in `queues` first, then runs.
"""
