"""What the service takes for its work, each figure beside what this machine can do at most: `python -m benchmarks`.

docs/performance.md tells what is measured and where the time goes. Compare ratios: absolute figures are the machine's.
"""
