"""`python -m seqreg` is the `seqreg` command."""

from seqreg.cli import main

if __name__ == "__main__":
    main()
