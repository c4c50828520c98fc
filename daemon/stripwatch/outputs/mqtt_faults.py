"""Why a connection to a broker cannot be made, as the end of a sentence that says what to check."""

from __future__ import annotations

import socket
import ssl

CONNECT_S = 5.0  # for each of: TCP, TLS, the broker's answer

_NOT_FOUND = "cannot be found: check the host's name and DNS"
_REASONS: dict[type[OSError | ValueError], str] = {
    socket.gaierror: _NOT_FOUND,
    UnicodeError: _NOT_FOUND,  # no name that DNS can hold
    ConnectionRefusedError: "refuses connections: check that the broker runs there, and its port",
    ConnectionResetError: "has closed the connection at once; does its port speak TLS?",
    TimeoutError: f"does not answer within {CONNECT_S:g} s: check host, port and firewalls",
}


def explain(error: OSError | ValueError) -> str:
    """Why a connection cannot be made, and what to check."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = error.verify_message.rstrip(".")
        return (
            f"has a certificate that is not accepted: {reason}; check ca_file, the name in the "
            "certificate and this computer's clock"
        )
    if isinstance(error, ssl.SSLError):
        return f"does not speak TLS with us: {error.reason or error}; check port and cert_file"
    words = (words for kind, words in _REASONS.items() if isinstance(error, kind))
    return next(words, f"cannot be reached: {getattr(error, 'strerror', None) or error}")
