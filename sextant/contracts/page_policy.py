"""What a browser may do with what we answer: the headers of every response, and the policy of each kind of page.

A policy is the second lock: templates escape what clients sent, and what slips through can neither run nor send.
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256

INLINE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)
CLOSED = "default-src 'none'; base-uri 'none'; form-action 'none'"
NO_FRAME = "; frame-ancestors 'none'"
"""Not allowed in a <meta> element, so it is added where the policy is a header."""

DATA = CLOSED + NO_FRAME
"""For JSON, metrics and errors: nothing may load or run, should a browser show them as a page."""
PLOTS = (
    f"{CLOSED}; script-src 'self' 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
)
"""Evidently's pages are inline scripts whose text differs from page to page; they may load and send nothing."""
REPORTS = f"{PLOTS}{NO_FRAME}; sandbox allow-scripts allow-downloads allow-popups"
"""As served: the sandbox gives a page an origin of its own, so that its scripts can read no other page."""

HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
)
"""Of every response, beside its Content-Security-Policy."""


def own_parts(template: str, *, scripts: Sequence[str] = (), styles: Sequence[str] = ()) -> str:
    """The policy of a page that may use the styles and scripts which stand in its template, told by their hashes.

    `scripts` and `styles` are further sources, such as 'self'.
    """
    found: dict[str, list[str]] = {"script": list(scripts), "style": list(styles)}
    for kind, text in INLINE.findall(template):
        if "'unsafe-inline'" not in found[kind]:  # beside a hash it would count for nothing
            found[kind].append(f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'")
    sources = "".join(f"; {kind}-src {' '.join(allowed)}" for kind, allowed in found.items() if allowed)
    return f"{CLOSED}; img-src data:{sources}"


def swagger_page(page: str) -> str:
    """Swagger UI's policy: it loads its own files, styles its elements, and asks the service that it describes."""
    own = own_parts(page, scripts=("'self'",), styles=("'self'",))
    return f"{own}; connect-src 'self'{NO_FRAME}"
