"""Sends what steps have told people: each message at least once, until it has arrived or a day has passed."""
