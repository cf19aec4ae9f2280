"""The accounts of the sandbox, made anew at each start unless they are given."""

import secrets
from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

PROJECT_ID = "postrider-sandbox"


@dataclass(frozen=True)
class Credentials:
    sendgrid_api_key: str
    twilio_account_sid: str
    twilio_auth_token: str
    fcm_project_id: str
    fcm_client_email: str
    fcm_key_id: str
    fcm_private_key: rsa.RSAPrivateKey

    def service_account(self, token_uri: str) -> dict[str, str]:
        """The JSON file that Google hands out for a service account."""
        pem = self.fcm_private_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return {
            "type": "service_account",
            "project_id": self.fcm_project_id,
            "private_key_id": self.fcm_key_id,
            "private_key": pem.decode(),
            "client_email": self.fcm_client_email,
            "client_id": "100000000000000000000",
            "token_uri": token_uri,
        }


def generate() -> Credentials:
    """Fresh credentials; the RSA key takes a few hundred milliseconds."""
    return Credentials(
        sendgrid_api_key=f"SG.{secrets.token_urlsafe(16)}.{secrets.token_urlsafe(32)}",
        twilio_account_sid="AC" + secrets.token_hex(16),
        twilio_auth_token=secrets.token_hex(16),
        fcm_project_id=PROJECT_ID,
        fcm_client_email=f"sender@{PROJECT_ID}.iam.gserviceaccount.com",
        fcm_key_id=secrets.token_hex(20),
        fcm_private_key=rsa.generate_private_key(public_exponent=65537, key_size=2048),
    )
