"""`python -m ltbench` is `ltbench`."""

from ltbench.benchmark.cli import main

main()
