"""What a caller installs: the contract (`convergence.v1`), an async client and a command line."""
