from __future__ import annotations

import os
import ssl
import subprocess
from pathlib import Path

import pytest

from comporta.errors import UsageError
from comporta.security import security


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("COMPORTA_REDIS_", "COMPORTA_KAFKA_")):
            monkeypatch.delenv(name)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate that signs itself, and its key."""
    made, key = tmp_path / "made.pem", tmp_path / "made.key"
    request = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    files = ["-subj", "/CN=one", "-out", str(made), "-keyout", str(key)]
    subprocess.run([*request, *files], check=True, capture_output=True)
    return made, key


def refusal() -> str:
    with pytest.raises(UsageError) as error:
        security("redis")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_nothing_is_set_by_default() -> None:
    found = security("redis")
    assert (found.username, found.password, found.tls, found.mechanism) == (None, None, None, "PLAIN")


def test_a_user_and_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPORTA_REDIS_USERNAME", "me")
    monkeypatch.setenv("COMPORTA_REDIS_PASSWORD", "s3cret")
    found = security("redis")
    assert (found.username, found.password) == ("me", "s3cret")
    assert "s3cret" not in repr(found)
    assert security("kafka").username is None


@pytest.mark.parametrize("text", ["s3cret", "s3cret\n", "s3cret\r\n", "s3cret\nrest\n"])
def test_a_password_in_a_file_is_its_first_line(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_bytes(text.encode())
    monkeypatch.setenv("COMPORTA_REDIS_PASSWORD_FILE", str(tmp_path / "password"))
    assert security("redis").password == "s3cret"


def test_a_user_without_a_password_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPORTA_REDIS_USERNAME", "me")
    assert "COMPORTA_REDIS_PASSWORD_FILE" in refusal()


@pytest.mark.parametrize("name", ["PASSWORD_FILE", "CA_FILE", "CERTIFICATE_FILE"])
def test_a_file_that_is_missing_is_named(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(f"COMPORTA_REDIS_{name}", str(tmp_path / "missing"))
    text = refusal()
    assert "missing cannot be read: No such file or directory" in text
    assert f"COMPORTA_REDIS_{name}" in text


@pytest.mark.parametrize("name", ["CA_FILE", "CERTIFICATE_FILE"])
def test_a_file_of_nonsense_is_named(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "nonsense").write_text("no certificate")
    monkeypatch.setenv(f"COMPORTA_REDIS_{name}", str(tmp_path / "nonsense"))
    assert f"COMPORTA_REDIS_{name}" in refusal()


def test_tls_is_on_where_anything_asks_for_it(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = security("redis", tls=True).tls
    assert found
    assert (found.verify_mode, found.check_hostname) == (ssl.CERT_REQUIRED, True)
    monkeypatch.setenv("COMPORTA_REDIS_CA_FILE", str(pair[0]))
    assert security("redis").tls
    monkeypatch.setenv("COMPORTA_REDIS_TLS", "off")
    assert security("redis").tls is None
    monkeypatch.delenv("COMPORTA_REDIS_CA_FILE")
    monkeypatch.setenv("COMPORTA_REDIS_TLS", "on")
    assert security("redis").tls


def test_a_certificate_with_its_key(pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPORTA_REDIS_CERTIFICATE_FILE", str(pair[0]))
    monkeypatch.setenv("COMPORTA_REDIS_KEY_FILE", str(pair[1]))
    assert security("redis").tls


def test_a_key_needs_its_certificate(pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPORTA_REDIS_KEY_FILE", str(pair[1]))
    assert refusal() == "COMPORTA_REDIS_KEY_FILE is set, but COMPORTA_REDIS_CERTIFICATE_FILE is not"
    monkeypatch.setenv("COMPORTA_REDIS_CERTIFICATE_FILE", str(pair[0]))
    monkeypatch.setenv("COMPORTA_REDIS_KEY_FILE", str(pair[1]) + ".missing")
    assert "COMPORTA_REDIS_KEY_FILE" in refusal()


def test_a_key_that_needs_a_passphrase_is_refused(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    locked = tmp_path / "locked.key"
    encrypt = ["openssl", "ec", "-aes256", "-passout", "pass:x1234", "-in", str(pair[1]), "-out", str(locked)]
    subprocess.run(encrypt, check=True, capture_output=True)
    monkeypatch.setenv("COMPORTA_REDIS_CERTIFICATE_FILE", str(pair[0]))
    monkeypatch.setenv("COMPORTA_REDIS_KEY_FILE", str(locked))
    assert "COMPORTA_REDIS_KEY_FILE" in refusal()


def test_the_host_name_may_be_left_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPORTA_REDIS_CHECK_HOSTNAME", "off")
    found = security("redis", tls=True).tls
    assert found
    assert (found.verify_mode, found.check_hostname) == (ssl.CERT_REQUIRED, False)


@pytest.mark.parametrize("name", ["TLS", "CHECK_HOSTNAME"])
def test_a_switch_is_on_or_off(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPORTA_REDIS_TLS", "on")
    monkeypatch.setenv(f"COMPORTA_REDIS_{name}", "yes")
    assert refusal() == f"COMPORTA_REDIS_{name} is 'yes': it must be on or off"


def test_a_mechanism_is_one_that_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPORTA_KAFKA_SASL_MECHANISM", "SCRAM-SHA-512")
    assert security("kafka").mechanism == "SCRAM-SHA-512"
    monkeypatch.setenv("COMPORTA_KAFKA_SASL_MECHANISM", "GSSAPI")
    with pytest.raises(UsageError, match="COMPORTA_KAFKA_SASL_MECHANISM is 'GSSAPI'"):
        security("kafka")
