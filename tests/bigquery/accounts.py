"""A service account, and the tokens that it is given."""

import json

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.bigquery.messages import Reply
from tests.bigquery.proxy import Exchange

TOKENS = "POST /token"
AUTHORIZATION = "Bearer the-token"


def account_key(endpoint: str) -> dict[str, str]:
    """The key of an account whose tokens are asked for at this address: where the proxy is, with `give_token`."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return {
        "type": "service_account",
        "client_email": "convergence@acme-project.example.com",
        "private_key_id": "1",
        "private_key": private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "token_uri": f"{endpoint}/token",
    }


async def give_token(exchange: Exchange) -> None:
    body = {"access_token": "the-token", "expires_in": 3600, "token_type": "Bearer"}
    await exchange.answer(Reply(200, {"content-type": "application/json"}, json.dumps(body).encode()))
