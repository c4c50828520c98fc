"""The MQTT sink: its sentences about brokers that refuse it, and files that cannot be used."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.line.forwarding import Broker, wait
from tests.programs import program

from stripwatch.config.forward import MqttSection
from stripwatch.errors import ConfigError, SinkError
from stripwatch.lab.faults.proxy import free_port
from stripwatch.outputs.mqtt import MqttSink


def sink(port: int, *, scheme: str = "mqtt", host: str = "localhost", **keys: object) -> MqttSink:
    return MqttSink(MqttSection(endpoint=f"{scheme}://{host}:{port}", **keys))  # type: ignore[arg-type]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    made = Broker(tmp_path / "broker")
    made.start()
    yield made
    made.kill()


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A folder with an authority `ca`, `localhost` and `client` signed by it, and `other`."""
    openssl = program("openssl", "openssl")
    for name in ("ca", "other", "localhost", "client"):
        command = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        command += ["-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"]
        if name in {"localhost", "client"}:
            command += ["-CA", "ca.pem", "-CAkey", "ca.key"]
            command += ["-addext", f"subjectAltName=DNS:{name}"]
        subprocess.run([openssl, *command], cwd=tmp_path, check=True, capture_output=True)
        (tmp_path / f"{name}.key").chmod(0o600)
    return tmp_path


@pytest.fixture
def passwords(broker: Broker) -> Path:
    """The broker's file of passwords: user `line1`, password `secret`."""
    path = broker.folder / "passwords"
    command = [program("mosquitto_passwd", "mosquitto"), "-c", "-b", str(path), "line1", "secret"]
    subprocess.run(command, check=True, capture_output=True)
    return path


def password_file(folder: Path, password: str) -> str:
    path = folder / "password"
    path.write_text(f"{password}\n")
    path.chmod(0o600)
    return str(path)


def restart(broker: Broker, *settings: str) -> None:
    broker.stop()
    broker.configure(*settings)
    broker.start()


def refusal(refused: MqttSink) -> str:
    with pytest.raises(SinkError) as caught:
        refused.connect()
    refused.close()
    return str(caught.value)


def test_a_broker_that_is_not_there_is_a_sentence() -> None:
    assert "refuses connections: check that the broker runs there" in refusal(sink(free_port()))
    assert "cannot be found: check the host" in refusal(sink(1883, host="no-such-host.invalid"))
    assert "cannot be found: check the host" in refusal(sink(1883, host="a" * 64 + ".invalid"))


@pytest.mark.slow
def test_a_wrong_password_is_a_sentence_and_the_right_one_lets_us_in(
    broker: Broker, passwords: Path, tmp_path: Path
) -> None:
    restart(broker, f"password_file {passwords}")
    wrong = password_file(tmp_path, "wrong")
    for keys in ({}, {"username": "line1", "password_file": wrong}):
        words = refusal(sink(broker.port, **keys))
        assert "refuses us: Not authorized; check username, password_file" in words
    right = sink(broker.port, username="line1", password_file=password_file(tmp_path, "secret"))
    assert right.connect() > 0
    right.close()


@pytest.mark.slow
def test_certificates_are_checked_on_both_sides(broker: Broker, certificates: Path) -> None:
    """Another authority's, one for another host, and a broker or a client without any."""

    def encrypted(**files: str) -> MqttSink:
        paths = {key: str(certificates / name) for key, name in files.items()}
        return sink(broker.port, scheme="mqtts", **paths)

    def restart_with(name: str) -> None:
        restart(
            broker,
            "allow_anonymous true",
            "require_certificate true",
            f"cafile {certificates}/ca.pem",
            f"certfile {certificates}/{name}.pem",
            f"keyfile {certificates}/{name}.key",
        )

    ours = {"ca_file": "ca.pem", "cert_file": "client.pem", "key_file": "client.key"}
    assert "speak TLS" in refusal(encrypted(**ours))
    restart_with("other")
    assert "has a certificate that is not accepted: self-signed" in refusal(encrypted(**ours))
    restart_with("client")
    assert "not valid for 'localhost'; check ca_file, the name" in refusal(encrypted(**ours))
    restart_with("localhost")
    assert "that is not accepted" in refusal(encrypted())  # the system does not know ours
    assert "want TLS?" in refusal(sink(broker.port))
    assert "TLS" in refusal(encrypted(ca_file="ca.pem"))
    accepted = encrypted(**ours)
    accepted.connect()
    accepted.send("defect.top.pits", b"{}")
    wait(lambda: accepted.acknowledged(0.1) == 1)
    accepted.close()


@pytest.mark.slow
def test_an_event_that_is_too_long_for_the_broker_is_a_sentence(broker: Broker) -> None:
    restart(broker, "allow_anonymous true", "max_packet_size 1000")
    small = sink(broker.port)
    small.connect()
    with pytest.raises(SinkError, match=r"at most 1000 bytes .* the next event has 10"):
        small.send("gap.top", b"x" * 1000)
    small.close()


@pytest.mark.slow
def test_a_refused_event_is_not_acknowledged(broker: Broker, tmp_path: Path) -> None:
    """The broker answers it as it answers any other, but with an error."""
    (tmp_path / "rules").write_text("topic write stripwatch/gap/#\n")
    restart(broker, "allow_anonymous true", f"acl_file {tmp_path}/rules")
    limited = sink(broker.port)
    limited.connect()
    limited.send("gap.top", b"{}")
    wait(lambda: limited.acknowledged(0.1) == 1)
    assert limited.unheard == 1
    limited.send("defect.top.pits", b"{}")
    with pytest.raises(SinkError, match="refuses a message: Not authorized"):
        wait(lambda: limited.acknowledged(0.1) > 0)
    limited.close()


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """Of a password and of a key; the sentence says how to mend it."""
    path = password_file(tmp_path, "secret")
    Path(path).chmod(0o644)
    with pytest.raises(ConfigError, match=rf"password_file: every user .* chmod 600 {path}"):
        sink(1, username="a", password_file=path)
    with pytest.raises(ConfigError, match=r"key_file: every user"):
        sink(1, scheme="mqtts", cert_file=path, key_file=path)


@pytest.mark.parametrize(
    ("key", "content", "words"),
    [
        ("password_file", None, "cannot be read: No such file"),
        ("password_file", b"\n", "is empty"),
        ("password_file", b"\xff\xfe", "not text in UTF-8"),
        ("ca_file", None, "cannot be read: No such file"),
        ("ca_file", b"no certificate", "holds no certificate in PEM"),
        ("cert_file", b"no certificate", "are no certificate and its key"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_key(
    tmp_path: Path, key: str, content: bytes | None, words: str
) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o600)
    with pytest.raises(ConfigError, match=rf"forward\.mqtt\.{key}: .*{path}.* {words}"):
        sink(1, scheme="mqtts", username="a", **{key: str(path)})


def test_a_key_with_a_passphrase_does_not_ask_on_the_terminal(
    certificates: Path, tmp_path: Path
) -> None:
    locked = tmp_path / "locked.key"
    command = ["ec", "-in", "client.key", "-aes128", "-passout", "pass:word", "-out", str(locked)]
    subprocess.run(
        [program("openssl", "openssl"), *command], cwd=certificates, check=True, capture_output=True
    )
    locked.chmod(0o600)
    with pytest.raises(ConfigError, match="without a passphrase"):
        sink(1, scheme="mqtts", cert_file=f"{certificates}/client.pem", key_file=str(locked))
