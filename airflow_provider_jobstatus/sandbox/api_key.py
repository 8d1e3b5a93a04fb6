"""The key of a vendor whose API asks for one in a header."""

from __future__ import annotations

import hmac
import secrets


class ApiKey:
    """One key, which is good until it is revoked or replaced.

    :param vendor: The vendor's name.

    :ivar refused: How many requests came without the key.
    """

    def __init__(self, vendor: str) -> None:
        # Made up anew at each start and easy to recognise, so that a test can look for leaked ones.
        self.value = f"sandbox-password-{vendor}-{secrets.token_urlsafe(12)}"
        self.refused = 0
        self._revoked = False

    def admits(self, given: str | None) -> bool:
        """Return whether a request with this header may be answered, and count it if not."""
        sent = (given or "").encode("utf-8", "replace")
        good = not self._revoked and hmac.compare_digest(sent, self.value.encode())
        self.refused += not good
        return good

    def replace(self, value: str) -> None:
        """End the key, and take another one."""
        self.value, self._revoked = value, False

    def revoke(self) -> int:
        """End the key, until another one is set, and return how many there were."""
        count = 0 if self._revoked else 1
        self._revoked = True
        return count
