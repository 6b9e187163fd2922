"""What will not mend itself about TLS, in words that say what to set."""

from __future__ import annotations

import socket
import ssl

from comporta.security import Service

TIMEOUT = 5.0  # seconds for one question
NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")


def refusal(service: Service, error: ssl.SSLError) -> str | None:
    """Why a connection in TLS will never come about; None where it may, later."""
    prefix = f"COMPORTA_{service.upper()}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted ({error.verify_message}):"
            f" see {prefix}_CA_FILE and {prefix}_CHECK_HOSTNAME"
        )
    if error.reason in NOT_TLS:
        return f"it does not speak TLS: see {prefix}_TLS, or name another port"
    if "ALERT" in (error.reason or ""):
        return (
            f"it refuses our TLS ({error.reason}): it may ask for a certificate that it trusts,"
            f" see {prefix}_CERTIFICATE_FILE and {prefix}_KEY_FILE"
        )
    return None


def is_spoken(host: str, port: int) -> bool:
    """Whether what listens there shakes hands in TLS, whoever it is."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection((host, port), TIMEOUT) as plain, context.wrap_socket(plain):
            return True
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")  # as of one that asks for our certificate
    except OSError:
        return False
