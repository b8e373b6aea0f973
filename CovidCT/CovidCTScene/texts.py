"""Translation of the sentences that a user reads."""

from __future__ import annotations

try:
    from slicer.i18n import tr
except ImportError:
    # Slicer's core without its application has no translations; scripts then read English.
    def tr(text: str) -> str:
        """Give the text itself."""
        return text


__all__ = ["tr"]
