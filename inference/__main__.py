"""`python -m inference` is `trim`."""

from inference.cli import main

main()
