"""Cannot be imported."""

raise RuntimeError("the-password-is-hunter2")
