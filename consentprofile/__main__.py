"""``python -m consentprofile`` is the same as ``consentprofile``."""

from __future__ import annotations

from consentprofile.cli.main import main

if __name__ == "__main__":
    main()
