"""URLs, and what every request has: the part of talking to nodes that sync and async share."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from .errors import LfError, invalid

USER_AGENT = "lf-client-python"


def check_url(text: str) -> str:
    """A node's URL, http or https, without slashes at its end."""
    url = text.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or "?" in url or "#" in url:
        raise invalid(f"invalid URL {text!r}: write http://HOST:PORT or https://HOST")
    return url


class Urls:
    """The nodes to ask, the one that answered last first."""

    def __init__(self, urls: str | Sequence[str]) -> None:
        self.all = [check_url(url) for url in ([urls] if isinstance(urls, str) else urls)]
        if not self.all:
            raise invalid("no node URL is given")
        self._preferred = 0

    def in_order(self) -> list[str]:
        """All of them, in the order they are asked."""
        first = self._preferred
        return self.all[first:] + self.all[:first]

    def answered(self, url: str) -> None:
        """This one is asked first next time."""
        self._preferred = self.all.index(url)


def headers_of(token: str | None) -> dict[str, str]:
    """The headers of every request."""
    headers = {"User-Agent": USER_AGENT}
    if token is not None:
        token = token.strip()
        if not token.isascii() or not token.isprintable() or not token or " " in token:
            # Not told: it is a secret.
            raise invalid("the token is not one of a node: give what is in its authtoken.secret")
        headers["Authorization"] = f"Bearer {token}"
    return headers


def no_answer() -> LfError:
    """Nothing was asked at all."""
    return LfError("ErrUnreachable", "no node could be asked")
