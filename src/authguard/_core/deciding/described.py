"""Return the options of a guard, for documents about an application, and for commands."""

from collections.abc import Sequence

from authguard._core.answer.denials import Denials, OnError
from authguard._core.credential.extractor import Extractor
from authguard._core.proofs.proof import Proofs
from authguard._core.verifier import Verifier


class Described:
    """Return the options with which a guard was built; a base of `Guard`.

    Attributes:
        proofs: those for tokens that are bound to a key or a certificate.
    """

    proofs: Proofs
    _denials: Denials
    _extractor: Extractor
    _verifiers: Sequence[Verifier]

    @property
    def verifiers(self) -> tuple[Verifier, ...]:
        """Return the verifiers that were given, in their order."""
        return tuple(self._verifiers)

    @property
    def token_fields(self) -> frozenset[bytes]:
        """Return the credential fields that carry a token and nothing else."""
        return self._extractor.token_fields

    @property
    def reads_authorization(self) -> bool:
        """Return whether any verifier is for credentials in the Authorization field."""
        return not all(verifier.token_header for verifier in self._verifiers)

    @property
    def login_path(self) -> str | None:
        """Return the path to which browsers are redirected to sign in, unless a rule names its own page."""
        return self._denials.login_path

    @property
    def on_error(self) -> OnError | None:
        """Return the function that changes a refusal before it is sent."""
        return self._denials.on_error
