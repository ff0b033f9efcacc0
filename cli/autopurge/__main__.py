"""``python -m autopurge`` is the command ``autopurge``."""

from .app import main

if __name__ == "__main__":
    main()
