"""`python -m benchmark` is `ltbench`."""

from benchmark.cli import main

main()
