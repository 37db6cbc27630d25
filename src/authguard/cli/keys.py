"""Create signing keys in files, and rotate those of the service: `authguard keys`."""

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import get_default_algorithms

from authguard._core.proofs.dpop import thumbprint_of
from authguard.cli.configuration import read_settings, read_settings_without_secret, with_settings
from authguard.cli.output import Failure
from authguard.cli.service import open_service

_MAKERS: dict[str, Callable[[], Any]] = {
    "RS256": lambda: rsa.generate_private_key(65537, 3072),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


@click.group()
def keys() -> None:
    """Create, rotate and delete signing keys."""


@keys.command()
@click.option(
    "--algorithm",
    type=click.Choice(["HS256", *_MAKERS]),
    default="ES256",
    show_default=True,
    help="The algorithm. HS256 creates a secret, such as AUTHGUARD_SECRET.",
)
@click.option(
    "--form",
    type=click.Choice(["pem", "jwk"]),
    default="pem",
    show_default=True,
    help="The format of the private key. A JWK has the kid of the public set. For a secret, pem writes the "
    "secret itself.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    help="The new file for the private key or the secret, which only its owner can read (mode 0600). "
    "- writes it to standard output.",
)
def generate(algorithm: str, form: str, output: str) -> None:
    """Create a private key or a secret. The public key is written to standard output as a JWK set.

    The kid is the RFC 7638 thumbprint of the key.
    """
    if algorithm == "HS256":
        _write_private(output, _secret(form))
        return
    key = _MAKERS[algorithm]()
    public = _jwk(algorithm, key.public_key())
    members = {"kid": thumbprint_of(public), "use": "sig", "alg": algorithm}
    if form == "jwk":
        private = json.dumps(_jwk(algorithm, key) | members, indent=2)
    else:
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode().rstrip("\n")
    _write_private(output, private)
    if output != "-":
        click.echo(json.dumps({"keys": [public | members]}, indent=2))


def _secret(form: str) -> str:
    if form == "pem":
        return secrets.token_urlsafe(48)
    secret = {"kty": "oct", "k": secrets.token_urlsafe(48), "kid": secrets.token_urlsafe(12)}
    return json.dumps(secret | {"use": "sig", "alg": "HS256"}, indent=2)


def _jwk(algorithm: str, key: Any) -> dict[str, Any]:
    jwk: dict[str, Any] = get_default_algorithms()[algorithm].to_jwk(key, as_dict=True)
    return {name: value for name, value in jwk.items() if name != "key_ops"}


def _write_private(output: str, text: str) -> None:
    if output == "-":
        click.echo(text)
        return
    try:
        # Never overwrite a file, and never let other users read it, not even briefly.
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Failure(f"{output} exists already: a key is never overwritten") from None
    except OSError as error:
        raise Failure(f"cannot write {output}: {error.strerror}") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
    except OSError as error:
        Path(output).unlink()  # a part of a key
        raise Failure(f"cannot write {output}: {error.strerror}") from None


@keys.command()
@with_settings
def rotate(database: str | None, config: str | None) -> None:
    """Create a new signing key for the service. It is published at once, and used in ten minutes."""
    with open_service(read_settings(config, database)) as service:
        service.rotate_keys()
    click.echo("Created a new signing key. Guards fetch it before it is used.")


@keys.command()
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_settings
def delete(*, yes: bool, database: str | None, config: str | None) -> None:
    """Delete all signing keys of the service, so that tokens that they signed are refused.

    The service creates a new key. Sessions continue with a refresh, unless the secret is another one, too.
    """
    with open_service(read_settings_without_secret(config, database)) as service:
        if not yes:
            click.confirm("Delete all signing keys? Their tokens are then refused.", abort=True, err=True)
        deleted = service.delete_keys()
    click.echo(f"Signing keys deleted: {deleted}." + (" Their tokens are refused." if deleted else ""))
