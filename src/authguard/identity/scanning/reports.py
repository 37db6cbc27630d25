"""Process reports of leaked keys: revoke each active key, and notify its owner once."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress

from sqlalchemy import Connection

from authguard.errors import RefusedError, VerificationUnavailableError
from authguard.identity.errors import InvalidReportError, StoreUnavailableError, WrongSignatureError
from authguard.identity.keys.generations import END_SECONDS, end_keys
from authguard.identity.keys.texts import CLIENT_SECRET_PREFIX, KeyTexts, secret_pattern
from authguard.identity.model import Caller
from authguard.identity.scanning.matches import Match, place_of, read_matches
from authguard.identity.scanning.scanner_keys import ScannerKeys
from authguard.identity.scanning.signatures import Signature, is_signed, read_signature
from authguard.identity.storage import exposure_queries as exposure_store
from authguard.identity.storage.exposure_queries import Exposure, SecretRow
from authguard.identity.storage.marks import require_elsewhere
from authguard.identity.usecases.context import Base
from authguard.identity.usecases.key_life.mails import EXPOSED_KIND

#: Matches in one query, and keys revoked in one transaction.
MAX_BATCH = 500
_REPORT = "secret_scanning"


class LeakReports:
    """Process the reports of a secret scanner.

    Args:
        base: the common parts of use cases.
        keys: the public keys of the scanner.
        texts: recognises texts of keys.
    """

    def __init__(self, base: Base, keys: ScannerKeys, texts: KeyTexts) -> None:
        self._base = base
        self._keys = keys
        self._texts = texts
        # In a URL, a key may be surrounded by other characters than in text.
        self._pattern = re.compile(secret_pattern(base.settings).replace(r"\b", ""))

    def prepare(self) -> None:
        """Fetch the keys of the scanner; failures are logged."""
        with suppress(VerificationUnavailableError):
            self._keys.find("")

    def read_signature(
        self, identifiers: Sequence[str], signatures: Sequence[str], caller: Caller
    ) -> Signature:
        """Return the signature of a request.

        Args:
            identifiers: the values of the field `Github-Public-Key-Identifier`.
            signatures: the values of the field `Github-Public-Key-Signature`.
            caller: the origin of the request.

        Raises:
            InvalidReportError: if a field is missing, repeated or malformed.
        """
        try:
            return read_signature(identifiers, signatures)
        except InvalidReportError as error:
            raise self._base.failed(_REPORT, caller, error) from None

    def admit(self, caller: Caller) -> None:
        """Refuse a caller who has sent too many wrong signatures, before a large body is read.

        Raises:
            RateLimitedError: if the caller has sent too many.
        """
        limiter = self._base.limiter
        self._base.limited(_REPORT, caller, limiter.check, "secret_address", address=caller.address)

    def read(self, body: bytes | bytearray, signature: Signature, caller: Caller) -> list[Match]:
        """Check the signature of a report, and then parse its matches.

        Args:
            body: as it was sent.
            signature: of the request.
            caller: the origin of the request.

        Raises:
            WrongSignatureError: if it is not signed with a key of the scanner.
            RateLimitedError: if the caller has sent too many wrong signatures.
            InvalidReportError: if the body has another format.
            PayloadTooLargeError: for too many matches.
            VerificationUnavailableError: if the keys of the scanner cannot be fetched.
        """
        try:
            key = self._keys.find(signature.identifier)
            if key is None or not is_signed(body, signature, key):
                raise WrongSignatureError("unknown key" if key is None else "wrong signature")
            return read_matches(body)
        except RefusedError as error:
            self._base.failed(_REPORT, caller, error)
            if isinstance(error, WrongSignatureError):
                self._base.wrong_secret(_REPORT, caller)
            raise

    def batches(self, matches: Sequence[Match]) -> list[Sequence[Match]]:
        """Return the matches that have the form of a secret of this service, each text once, in batches.

        If a text was found in several places, the first that can be shown is used.
        """
        chosen: dict[str, Match] = {}
        for match in matches:
            known = chosen.get(match.digest)
            if known is None:
                is_key = self._texts.keys.is_well_formed(match.token)
                if not is_key and not self._texts.client_secrets.is_well_formed(match.token):
                    continue
            if known is None or (not self._place_of(known) and self._place_of(match)):
                chosen[match.digest] = match
        known_form = list(chosen.values())
        return [known_form[start : start + MAX_BATCH] for start in range(0, len(known_form), MAX_BATCH)]

    def _place_of(self, match: Match) -> str | None:
        return place_of(match, self._pattern)

    def find(self, matches: Sequence[Match]) -> list[SecretRow]:
        """Return the secrets of this service among a batch of matches.

        Raises:
            StoreUnavailableError: if the database does not answer.
        """
        with self._base.database.read() as connection:
            return exposure_store.list_secrets(connection, *_digests(matches))

    def revoke(self, matches: Mapping[str, Match], rows: Sequence[SecretRow], caller: Caller) -> None:
        """Revoke the active keys of a batch; expired and revoked keys do not change.

        Guards that follow the log know when this returns, or within a second. They are also notified again of
        keys that were revoked a short time ago.

        Args:
            matches: the matches by digest.
            rows: the secrets found for them; they are read again when the keys are locked.
            caller: the origin of the request.

        Raises:
            StoreUnavailableError: if a revocation could not be stored, or a guard could not be notified;
                repeat the call.
        """
        base, now = self._base, self._base.clock()
        rows = [row for row in rows if row.is_live(now) or _is_revoked_lately(row, now)]
        if not rows:
            return
        exposures: dict[str, Exposure] = {}
        try:
            with base.database.write() as connection:
                self._revoke_in(connection, matches, rows, exposures, now)
        except StoreUnavailableError:
            self._keep_stored(exposures, now)
            self._record(exposures, caller)
            raise
        self._record(exposures, caller)

    def _revoke_in(
        self,
        connection: Connection,
        matches: Mapping[str, Match],
        rows: Sequence[SecretRow],
        exposures: dict[str, Exposure],
        now: float,
    ) -> None:
        """Revoke the keys, and note in `exposures` those that were not revoked before."""
        exposure_store.lock_keys(connection, rows)
        sessions: dict[str, str] = {}
        for row in exposure_store.list_secrets(connection, *_digests([matches[row.digest] for row in rows])):
            if row.is_live(now) and row.key_id not in exposures:
                match = matches[row.digest]
                exposures[row.key_id] = Exposure(row.key_id, row.user_id, match.source, self._place_of(match))
            if row.key_id in exposures or _is_revoked_lately(row, now):
                sessions[row.key_id] = row.session
        if exposures:
            newly_exposed = list(exposures.values())
            exposure_store.revoke_exposed(connection, newly_exposed, now)
            told = [(exposure.user_id, exposure.key_id) for exposure in newly_exposed]
            self._base.mails.add_all(connection, EXPOSED_KIND, told)
        if sessions:
            end_keys(connection, sessions, now)
        require_elsewhere(connection)

    def _record(self, exposures: Mapping[str, Exposure], caller: Caller) -> None:
        for key_id, exposure in exposures.items():
            source, user_id = exposure.source, exposure.user_id
            self._base.succeeded("api_key_exposed", caller, reason=source, user_id=user_id, key_id=key_id)

    def _keep_stored(self, exposures: dict[str, Exposure], now: float) -> None:
        """Keep those exposures that were stored, although guards elsewhere could not be notified."""
        stored: set[str] = set()
        with suppress(StoreUnavailableError), self._base.database.read() as connection:
            stored = exposure_store.list_exposed(connection, exposures, now)
        for key_id in exposures.keys() - stored:
            del exposures[key_id]

    def finish(self, matches: Sequence[Match], known: set[str], caller: Caller) -> list[dict[str, str]]:
        """Return the answer: for each match, whether the service knows it.

        Args:
            matches: all matches.
            known: the digests of secrets of this service.
            caller: the origin of the request.
        """
        self._base.succeeded(_REPORT, caller)
        return [
            {
                "token_hash": match.digest,
                "token_type": match.type,
                "label": "true_positive" if match.digest in known else "false_positive",
            }
            for match in matches
        ]

    def close(self) -> None:
        """Close the connections to the scanner."""
        self._keys.close()


def _is_revoked_lately(row: SecretRow, now: float) -> bool:
    """Return whether a guard that was not notified may still remember a revoked key."""
    return row.revoked_at is not None and now < row.revoked_at + END_SECONDS


def _digests(matches: Sequence[Match]) -> tuple[list[str], list[str]]:
    """Return the digests of texts that may be keys, and of texts that may be client secrets."""
    # A prefix of the settings may also be that of client secrets.
    secrets = [match.digest for match in matches if match.token.startswith(CLIENT_SECRET_PREFIX)]
    return [match.digest for match in matches], secrets
