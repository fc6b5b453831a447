"""Whether something answers yet."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request


def _opener() -> urllib.request.OpenerDirector:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))


_OPENER = _opener()


def answers(url: str) -> bool:
    """Return whether an address answers with 200; whose certificate it shows is not looked at.

    Args:
        url: The address.
    """
    try:
        with _OPENER.open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, http.client.HTTPException, OSError):
        return False
