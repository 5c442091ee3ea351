"""TLS, and clients that have to show a certificate, on a running server."""

import asyncio
from pathlib import Path

import aiohttp
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from convergence.channel import Tls
from convergence.client import ConvergenceClient
from convergence.errors import ConvergenceError
from tests.certificates import Authority, Pair
from tests.e2e.service import Service, make_checkout

AUTHORITY, OTHER = Authority("ours"), Authority("another")
SERVER, CLIENT, STRANGER = AUTHORITY.issue("server"), AUTHORITY.issue("client"), OTHER.issue("client")


async def version(service: Service, tls: Tls | None) -> str:
    """What the server says it is, or the name of the status that a client gets."""
    async with ConvergenceClient(service.target, api_key=service.admin_key, tls=tls, timeout=3) as client:
        try:
            return (await client.get_system_info()).version
        except ConvergenceError as error:
            return error.code.name


async def probe(service: Service, authority: Authority, client: tuple[Path, Path] | None = None) -> int:
    """The status that the HTTP probe answers with; 0 when there is no connection."""
    context = authority.client_context()
    if client is not None:
        context.load_cert_chain(*client)
    try:
        async with (
            aiohttp.ClientSession(service.http.replace("http:", "https:")) as session,
            session.get("/readyz", ssl=context) as answer,
        ):
            return answer.status
    except aiohttp.ClientError:
        return 0


def of(pair: Pair) -> Tls:
    return Tls(AUTHORITY.pem, pair.certificate, pair.key)


async def test_a_certificate_is_shown_and_renewed(tmp_path: Path) -> None:
    settings = SERVER.write(tmp_path)
    service = await Service.start(make_checkout(tmp_path / "checkout"), **settings)
    try:
        known = await version(service, Tls(AUTHORITY.pem))
        assert known.count(".") == 2
        for tls in (None, Tls(OTHER.pem)):
            assert await version(service, tls) in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}
        assert (await probe(service, AUTHORITY), await probe(service, OTHER)) == (200, 0)
        # A pair that does not fit together, as it is while the files are replaced: the old one goes on.
        (tmp_path / "certificate.pem").write_bytes(OTHER.issue("server").certificate)
        assert await version(service, Tls(AUTHORITY.pem)) == known
        assert await probe(service, AUTHORITY) == 200
        OTHER.issue("server").write(tmp_path)
        async with asyncio.timeout(20):
            while await version(service, Tls(OTHER.pem)) != known:
                await asyncio.sleep(0.05)
        assert (await probe(service, OTHER), await probe(service, AUTHORITY)) == (200, 0)
        assert await version(service, Tls(AUTHORITY.pem)) in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}
    finally:
        await service.stop()


async def test_a_client_has_to_show_a_certificate(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(AUTHORITY.pem)
    settings = {**SERVER.write(tmp_path), "tls_client_ca_file": str(tmp_path / "ca.pem")}
    service = await Service.start(make_checkout(tmp_path / "checkout"), **settings)
    try:
        assert (await version(service, of(CLIENT))).count(".") == 2
        for tls in (Tls(AUTHORITY.pem), of(STRANGER)):
            assert await version(service, tls) in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}
        own, strange = tmp_path / "own", tmp_path / "strange"
        for folder, pair in ((own, CLIENT), (strange, STRANGER)):
            folder.mkdir()
            pair.write(folder)
        assert await probe(service, AUTHORITY, (own / "certificate.pem", own / "key.pem")) == 200
        assert await probe(service, AUTHORITY, (strange / "certificate.pem", strange / "key.pem")) == 0
        assert await probe(service, AUTHORITY) == 0
    finally:
        await service.stop()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"tls_key_file": ""}, "CONVERGENCE_TLS_CERTIFICATE_FILE needs both CONVERGENCE_TLS_CERTIFICATE_FILE and"),
        ({"tls_certificate_file": ""}, "CONVERGENCE_TLS_KEY_FILE needs both"),
        (
            {"tls_certificate_file": "", "tls_key_file": "", "tls_client_ca_file": "ca.pem"},
            "CONVERGENCE_TLS_CLIENT_CA_FILE needs both",
        ),
        ({"tls_certificate_file": "nowhere.pem"}, "nowhere.pem cannot be read: it is missing"),
        ({"tls_key_file": "open.pem"}, "open.pem holds a secret and others may read it; run chmod 600"),
        ({"tls_key_file": "other.pem"}, "other.pem is not the key of"),
        ({"tls_key_file": "encrypted.pem"}, "encrypted.pem is not the key of .* or is encrypted"),
        ({"tls_certificate_file": "text.pem"}, "text.pem holds no certificates"),
        ({"tls_client_ca_file": "text.pem"}, "text.pem holds no certificates"),
    ],
)
async def test_what_does_not_fit_together_is_told_at_the_start(
    tmp_path: Path, changed: dict[str, str], says: str
) -> None:
    settings = SERVER.write(tmp_path)
    (tmp_path / "ca.pem").write_bytes(AUTHORITY.pem)
    (tmp_path / "text.pem").write_text("no certificate\n")
    loaded = load_pem_private_key(SERVER.key, None)
    encrypted = loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password"))
    for name, mode, key in (
        ("open.pem", 0o644, SERVER.key),
        ("other.pem", 0o600, CLIENT.key),
        ("encrypted.pem", 0o600, encrypted),
    ):
        (tmp_path / name).touch(mode=mode)
        (tmp_path / name).chmod(mode)
        (tmp_path / name).write_bytes(key)
    settings |= {name: str(tmp_path / value) if value else "" for name, value in changed.items()}
    with pytest.raises(AssertionError, match=says) as ended:
        await Service.start(make_checkout(tmp_path / "checkout"), **settings)
    assert "Traceback" not in str(ended.value)
