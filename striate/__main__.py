"""`python -m striate` is the command `striate`."""

from striate.cli import main

if __name__ == "__main__":
    main()
