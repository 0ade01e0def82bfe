"""`python -m scfx`."""

from scfx.cli import main

if __name__ == "__main__":
    main()
