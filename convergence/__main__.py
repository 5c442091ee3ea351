"""`python -m convergence`: the same as the command `convergence`."""

from convergence.cli import main

if __name__ == "__main__":
    main()
