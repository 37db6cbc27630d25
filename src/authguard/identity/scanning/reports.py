"""Take reports of leaked keys: revoke each key that is live, and have its owner told once."""

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
from authguard.identity.usecases.context import Base
from authguard.identity.usecases.key_life.mails import EXPOSED_KIND

#: Matches that one statement looks up, and keys that one transaction revokes.
MAX_BATCH = 500
_REPORT = "secret_scanning"


class LeakReports:
    """Take the reports of a scanner of secrets.

    Args:
        base: the parts that use cases share.
        keys: the public keys of the scanner.
        texts: tells texts of keys from others.
    """

    def __init__(self, base: Base, keys: ScannerKeys, texts: KeyTexts) -> None:
        self._base = base
        self._keys = keys
        self._texts = texts
        # A URL may have other characters around a key than a text has.
        self._pattern = re.compile(secret_pattern(base.settings).replace(r"\b", ""))

    def prepare(self) -> None:
        """Fetch the keys of the scanner, which logs why it fails."""
        with suppress(VerificationUnavailableError):
            self._keys.find("")

    def read_signature(
        self, identifiers: Sequence[str], signatures: Sequence[str], caller: Caller
    ) -> Signature:
        """Return the signature of a request.

        Args:
            identifiers: the values of the field `Github-Public-Key-Identifier`.
            signatures: the values of the field `Github-Public-Key-Signature`.
            caller: where the request comes from.

        Raises:
            InvalidReportError: unless each field is there once, and well-formed.
        """
        try:
            return read_signature(identifiers, signatures)
        except InvalidReportError as error:
            raise self._base.failed(_REPORT, caller, error) from None

    def admit(self, caller: Caller) -> None:
        """Refuse a caller who has sent too many wrong signatures, before a large body is read.

        Raises:
            RateLimitedError: if there were too many.
        """
        limiter = self._base.limiter
        self._base.limited(_REPORT, caller, limiter.check, "secret_address", address=caller.address)

    def read(self, body: bytes | bytearray, signature: Signature, caller: Caller) -> list[Match]:
        """Check the signature of a report, and read its matches; nothing is parsed before.

        Args:
            body: as it was sent.
            signature: of the request.
            caller: where the request comes from.

        Raises:
            WrongSignatureError: if it is not signed by a key of the scanner.
            RateLimitedError: if too many were not.
            InvalidReportError: for a body of another form.
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

        Of a text that was found in several places, the first that can be shown counts.
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
            StoreUnavailableError: if the database cannot be asked.
        """
        with self._base.database.read() as connection:
            return exposure_store.list_secrets(connection, *_digests(matches))

    def revoke(self, matches: Mapping[str, Match], rows: Sequence[SecretRow], caller: Caller) -> None:
        """Revoke the keys of a batch that are live; a key that has ended or been revoked stays as it is.

        Guards that follow the log know when this returns, or within a second. They are told once more of keys
        that were revoked a short time ago.

        Args:
            matches: the matches by digest.
            rows: what was found of them; it is looked at again, when nobody else can change it.
            caller: where the request comes from.

        Raises:
            StoreUnavailableError: if that could not be stored, or not all guards told; to be repeated.
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
        exposure_store.lock_keys(connection, {row.key_id for row in rows})
        sessions: dict[str, str] = {}
        for row in exposure_store.list_secrets(connection, *_digests([matches[row.digest] for row in rows])):
            if row.is_live(now) and row.key_id not in exposures:
                match = matches[row.digest]
                exposures[row.key_id] = Exposure(row.key_id, row.user_id, match.source, self._place_of(match))
            if row.key_id in exposures or _is_revoked_lately(row, now):
                sessions[row.key_id] = row.session
        if exposures:
            found = list(exposures.values())
            exposure_store.revoke_exposed(connection, found, now)
            told = [(exposure.user_id, exposure.key_id) for exposure in found]
            self._base.mails.add_all(connection, EXPOSED_KIND, told)
        if sessions:
            end_keys(connection, sessions, now)

    def _record(self, exposures: Mapping[str, Exposure], caller: Caller) -> None:
        for key_id, exposure in exposures.items():
            source, user_id = exposure.source, exposure.user_id
            self._base.succeeded("api_key_exposed", caller, reason=source, user_id=user_id, key_id=key_id)

    def _keep_stored(self, exposures: dict[str, Exposure], now: float) -> None:
        """Keep of the exposures those that were stored, although guards elsewhere could not be told."""
        stored: set[str] = set()
        with suppress(StoreUnavailableError), self._base.database.read() as connection:
            stored = exposure_store.list_exposed(connection, exposures, now)
        for key_id in exposures.keys() - stored:
            del exposures[key_id]

    def finish(self, matches: Sequence[Match], known: set[str], caller: Caller) -> list[dict[str, str]]:
        """Return the answer: for each match whether the service knows it.

        Args:
            matches: all of them.
            known: the digests of those that are secrets of this service.
            caller: where the request comes from.
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
    """Return whether a guard may remember a key that was revoked, if it has not been told."""
    return row.revoked_at is not None and now < row.revoked_at + END_SECONDS


def _digests(matches: Sequence[Match]) -> tuple[list[str], list[str]]:
    """Return the digests of what may be texts of keys, and of what may be client secrets."""
    # A prefix of the settings may be that of client secrets as well.
    secrets = [match.digest for match in matches if match.token.startswith(CLIENT_SECRET_PREFIX)]
    return [match.digest for match in matches], secrets
