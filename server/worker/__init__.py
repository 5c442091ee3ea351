"""The worker process: claims runs, executes them, keeps the mirror; and what keeps it alive."""
