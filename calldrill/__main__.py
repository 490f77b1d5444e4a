"""``python -m calldrill`` is ``calldrill``."""

from calldrill.cli import main

if __name__ == "__main__":
    main()
