"""What a connection to a broker needs from files: password and certificates."""

from __future__ import annotations

import ssl
import stat
from pathlib import Path

from stripwatch.config.forward import MqttSection
from stripwatch.errors import ConfigError

PASSWORD_BYTES_MAX = 65_535  # MQTT counts them in 16 bits


class _Socket(ssl.SSLSocket):
    """Closed where the handshake fails; paho would leave that to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def password_of(settings: MqttSection) -> str | None:
    """The password, the first line of its file.

    Raises:
        ConfigError: the file cannot be read, others may read it, or it holds no password.
    """
    if settings.password_file is None:
        return None
    path = Path(settings.password_file)
    _check_secret(path, "password_file")
    try:
        with path.open(encoding="utf-8") as file:
            password = file.readline(PASSWORD_BYTES_MAX).rstrip("\r\n")
    except OSError as error:
        raise ConfigError(_cannot_read(path, "password_file", error)) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"forward.mqtt.password_file: {path} is not text in UTF-8") from error
    if not password:
        raise ConfigError(f"forward.mqtt.password_file: the first line of {path} is empty")
    return password


def tls_of(settings: MqttSection) -> ssl.SSLContext | None:
    """The context of an encrypted connection, which checks the broker's name; None without TLS.

    Raises:
        ConfigError: a file cannot be read, is not what its key says, or others may read the key.
    """
    if not settings.has_tls:
        return None
    for key in ("ca_file", "cert_file", "key_file"):
        _check_readable(getattr(settings, key), key)
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except ssl.SSLError as error:
        raise ConfigError(
            f"forward.mqtt.ca_file: {settings.ca_file} holds no certificate in PEM"
        ) from error
    context.sslsocket_class = _Socket
    if settings.cert_file is not None:
        key_file = settings.key_file or settings.cert_file
        _check_secret(Path(key_file), "key_file" if settings.key_file else "cert_file")
        try:
            # A key with a passphrase would ask for it on the terminal.
            context.load_cert_chain(settings.cert_file, settings.key_file, password=lambda: b"")
        except ssl.SSLError as error:
            raise ConfigError(
                f"forward.mqtt.cert_file: {settings.cert_file} and {key_file} are no certificate "
                f"and its key without a passphrase, in PEM ({error.reason or error})"
            ) from error
    return context


def _check_secret(path: Path, key: str) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigError(_cannot_read(path, key, error)) from error
    if mode & stat.S_IROTH:
        raise ConfigError(
            f"forward.mqtt.{key}: every user of this computer can read {path}; "
            f"make it private with: chmod 600 {path}"
        )


def _check_readable(file: str | None, key: str) -> None:
    if file is None:
        return
    try:
        with Path(file).open("rb"):
            return
    except OSError as error:
        raise ConfigError(_cannot_read(Path(file), key, error)) from error


def _cannot_read(path: Path, key: str, error: OSError) -> str:
    return f"forward.mqtt.{key}: {path} cannot be read: {error.strerror}"
