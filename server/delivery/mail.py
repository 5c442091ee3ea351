"""Makes a mail of a stored message: the same bytes at every try."""

import hashlib
import re
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from server.delivery.sending import Dispatch
from server.domain.delivery import Mail, Severity

# Servers need not take anything else (RFC 5321, 2.4).
_POLICY = SMTP.clone(cte_type="7bit")
# RFC 4021, 2.1.54 (Importance) and 2.1.48, which nobody but mail programs has ever defined (X-Priority).
_IMPORTANCE: dict[Severity, tuple[str, str]] = {
    "ERROR": ("high", "1"),
    "WARNING": ("normal", "3"),
    "INFO": ("low", "5"),
}
_MOST_CHARACTERS = 250


def compose(dispatch: Dispatch, mail: Mail, *, sender: str) -> bytes:
    """The mail as a server takes it, addressed to all of its recipients, whoever still waits for it."""
    message = EmailMessage(policy=_POLICY)
    message["From"] = sender
    message["To"] = ", ".join(mail.recipients)
    message["Subject"] = header_text(mail.subject)
    message["Date"] = format_datetime(dispatch.queued_at)
    message["Message-ID"] = dispatch.message_id
    message["X-Convergence-Severity"] = mail.severity
    message["Importance"], message["X-Priority"] = _IMPORTANCE[mail.severity]
    # Nobody's absence is answered to a machine (RFC 3834, 5).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    if mail.html:
        message.add_alternative(mail.html, subtype="html")
        message.set_boundary(f"=-{hashlib.sha256(dispatch.message_id.encode()).hexdigest()[:32]}")
    return message.as_bytes()


def header_text(text: str) -> str:
    """Text that is safe in a header: error messages come from anywhere.

    Line breaks would begin a new header, and `=?...?=` is decoded into whatever it encodes, line breaks included.
    """
    printable = re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in text))
    return printable.replace("=?", "= ?").strip()[:_MOST_CHARACTERS]
