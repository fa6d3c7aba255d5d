"""readers/transports/mqtt_access.py: certificates and keys that do not fit are refused, by a name and with advice."""

from __future__ import annotations

import datetime as dt
import logging
import ssl

import pytest
from cryptography.hazmat.primitives import serialization

from readers.transports import mqtt_access
from readers.transports.mqtt import MqttLink
from readers.transports.mqtt_access import ADVICE, AccessFault, BrokerAccess
from tests.deploy.certificates import DAY, Authority

TLS_LISTENER = "cafile {ca}\ncertfile {folder}/broker.pem\nkeyfile {folder}/broker.key\ntls_version tlsv1.3"
HANDSHAKES_FAIL = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # paho forgets the socket of a failed handshake


@pytest.fixture
def site(tmp_path) -> Authority:
    return Authority(tmp_path / "site")


@pytest.fixture
def access(site) -> BrokerAccess:
    cert, key = site.issue("sekisho-controller")
    return BrokerAccess(ca_file=site.ca, cert_file=cert, key_file=key)


def with_(access: BrokerAccess, **files: object) -> BrokerAccess:
    kept = {name: getattr(access, name) for name in ("username", "password_file", "ca_file", "cert_file", "key_file")}
    return BrokerAccess(**(kept | files))


def test_files_in_order_make_tls_13_that_asks_for_the_brokers_name(access):
    """Commands would go to whoever answers, or over a protocol that can be broken."""
    context = mqtt_access.tls(access)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_3
    assert context.check_hostname and context.verify_mode == ssl.CERT_REQUIRED


def spoil_key_mode(access, site):
    access.key_file.chmod(0o604)
    return access


def encrypt_key(access, site):
    key = serialization.load_pem_private_key(access.key_file.read_bytes(), None)
    access.key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
        )
    )
    return access


def spoil(file: str):
    def spoilt(access, site):
        getattr(access, file).write_text("no certificate")
        return access

    return spoilt


def without(file: str):
    def gone(access, site):
        return with_(access, **{file: site.folder / "not-there"})

    return gone


def another_key(access, site):
    return with_(access, key_file=site.issue("other")[1])


def dated(before: dt.timedelta, after: dt.timedelta):
    def issue(access, site):
        return with_(access, cert_file=site.issue("dated", before=before, after=after)[0])

    return issue


@pytest.mark.req("B-27")
@pytest.mark.parametrize(
    ("make", "why"),
    [
        (without("ca_file"), "ca_file unreadable"),
        (spoil("ca_file"), "ca_file unreadable"),
        (without("cert_file"), "own certificate unreadable"),
        (spoil("cert_file"), "own certificate unreadable"),
        (dated(2 * DAY, -DAY), "own certificate expired"),
        (dated(-DAY, 2 * DAY), "own certificate not yet valid"),
        (without("key_file"), "own key unreadable"),
        (spoil("key_file"), "own key unreadable"),
        (encrypt_key, "own key unreadable"),
        (spoil_key_mode, "own key open to others"),
        (another_key, "own key of another certificate"),
    ],
)
def test_a_file_that_does_not_fit_is_named_with_what_to_do(access, site, make, why):
    """The broker would be "unreachable", and whoever is called out at night would look at the network."""
    with pytest.raises(AccessFault) as fault:
        mqtt_access.tls(make(access, site))
    assert fault.value.why == why
    assert ADVICE[why] in str(fault.value)


def test_a_password_that_cannot_be_read_is_named(tmp_path):
    """A service without a word would look like a broker that is down."""
    assert mqtt_access.password(BrokerAccess()) is None
    with pytest.raises(AccessFault, match="password file unreadable"):
        mqtt_access.password(BrokerAccess(username="x", password_file=tmp_path / "none"))


@pytest.mark.needs("mosquitto")
@pytest.mark.req("B-27")
@HANDSHAKES_FAIL
@pytest.mark.parametrize(
    ("issued", "why"),
    [
        ({"hosts": ("127.0.0.1",), "before": 2 * DAY, "after": -DAY}, "broker certificate expired"),
        ({"hosts": ("127.0.0.1",), "before": -DAY, "after": 2 * DAY}, "broker certificate not yet valid"),
        ({"hosts": ("192.0.2.1", "broker.example")}, "broker certificate of another host"),
        ({"hosts": ("127.0.0.1",), "stranger": True}, "broker certificate of another authority"),
    ],
)
def test_a_broker_that_cannot_be_believed_is_not_spoken_to(make_broker, site, access, told, caplog, issued, why):
    """Whoever answers at the broker's address would be given the building's commands."""
    signer = Authority(site.folder / "stranger", "Stranger") if issued.get("stranger") else site
    signer.issue("broker", **{name: given for name, given in issued.items() if name != "stranger"})
    broker = make_broker(listener=TLS_LISTENER.format(ca=signer.ca, folder=signer.folder))
    assert _fault(broker.port, access, told, caplog) == why


@pytest.mark.needs("mosquitto")
@pytest.mark.req("B-27")
@HANDSHAKES_FAIL
def test_what_the_broker_thinks_of_our_certificate_is_told(make_broker, site, access, told, caplog, tmp_path):
    """Mosquitto hangs up on a certificate without a word: it would look like a broker that crashes."""
    site.issue("broker", hosts=("127.0.0.1",))
    listener = TLS_LISTENER.format(ca=site.ca, folder=site.folder) + "\nrequire_certificate true"
    broker = make_broker(listener=listener)
    strange = Authority(tmp_path / "stranger", "Stranger").issue("sekisho-controller")
    foreign = with_(access, cert_file=strange[0], key_file=strange[1])
    assert _fault(broker.port, foreign, told, caplog) == "broker refused our certificate"
    assert _fault(broker.port, BrokerAccess(ca_file=site.ca), told, caplog) == "broker wants a certificate"


@pytest.mark.needs("mosquitto")
@HANDSHAKES_FAIL
def test_a_port_without_tls_is_told(broker, access, told, caplog):
    """A wrong port number would look like a network fault."""
    assert _fault(broker.port, access, told, caplog) == "broker speaks no TLS 1.3"


def _fault(port: int, access: BrokerAccess, told, caplog) -> str:
    """Why the only device is offline; what to do about it was logged once."""
    caplog.clear()
    link = MqttLink(
        host="127.0.0.1",
        port=port,
        client_id="controller",
        devices=["d"],
        on_event=told,
        on_wake=told.wake,
        access=access,
    )
    link.start()
    why = told.next().why
    link.stop()
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [
        f"broker 127.0.0.1:{port}: {why}: {ADVICE[why]}"
    ]
    return why
