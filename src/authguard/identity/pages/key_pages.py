"""Serve the pages of the API keys of an account: list, create, rotate, disable, enable, revoke."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from authguard._core.model import Principal
from authguard.errors import RefusedError
from authguard.identity.errors import InvalidFieldsError, NotFoundError
from authguard.identity.keys.grants import owner_scopes
from authguard.identity.keys.texts import KeyTexts, shown_part
from authguard.identity.model import PERMISSIONS, ROTATE_SELF, Caller, NewAPIKey, StoredAPIKey
from authguard.identity.pages.forms import Form
from authguard.identity.pages.owner_pages import OwnerPages, for_owner, form_of_owner
from authguard.identity.pages.views import HEADERS, Views
from authguard.identity.web.bodies import validate
from authguard.identity.web.browser_session import Visitor
from authguard.identity.web.key_forms import (
    CreateKeyForm,
    KeepKeyForm,
    RevokeKeyForm,
    RotateKeyForm,
    SwitchKeyForm,
)
from authguard.identity.web.messages import caller_of, query_of, read_fields
from authguard.identity.web.parts import Web

KEYS_PAGE = "/account/keys"
_NEW, _KEY, _FILE = f"{KEYS_PAGE}/new", f"{KEYS_PAGE}/key", f"{KEYS_PAGE}/file"
_ENDED = ("expired", "revoked")
_DAYS = (7, 30, 90, 180, 365)
#: Seconds for which the previous secret may stay valid.
_GRACES = {
    "0": "ends at once",
    "3600": "ends 1 hour later",
    "86400": "ends 1 day later",
    "604800": "ends 7 days later",
    "2592000": "ends 30 days later",
}
#: The purpose of keys by prefix; those of `Settings.api_key_prefixes` have no description.
_KINDS = {
    "sk_live": "for production",
    "sk_test": "for tests",
    "claw": "with a client secret, for OAuth client credentials",
    "ak": "for an agent",
}
_ACTORS = {"owner": "you", "key": "an API key of yours"}
_FIRST_FORM = Form(values={"kind": "sk_live", "read": "yes", "write": "yes"})


class KeyPages(OwnerPages):
    """Show the API keys of an account. This needs a browser session; a key opens no page."""

    def __init__(self, web: Web, views: Views) -> None:
        super().__init__(web, views)
        self._texts = KeyTexts(web.settings)

    def routes(self) -> list[Route]:
        """Return all routes; none if API keys are switched off."""
        if not self._service.settings.api_keys:
            return []
        prefix = self._service.settings.pages_path
        table = [
            ("GET", KEYS_PAGE, self.keys),
            ("GET", _NEW, self.new_page),
            ("POST", _NEW, self.create),
            ("POST", _FILE, self.download),
            ("GET", _KEY, self.key_page),
            ("POST", f"{_KEY}/rotate", self.rotate),
            ("POST", f"{_KEY}/disable", self.disable),
            ("POST", f"{_KEY}/enable", self.enable),
            ("POST", f"{_KEY}/revoke", self.revoke),
        ]
        return [Route(prefix + path, endpoint, methods=[method]) for method, path, endpoint in table]

    @for_owner(KEYS_PAGE)
    async def keys(self, request: Request, visitor: Visitor) -> Response:
        """Show all keys, the usable ones first, and their usage."""
        keys = await self._list(visitor)
        now = self._service.clock()
        values: dict[str, Any] = {
            "usable": [key for key in keys if key.state(now) not in _ENDED],
            "ended": [key for key in keys if key.state(now) in _ENDED],
            "usage": await self._workers.read(self._service.api_keys.usage, visitor.principal),
            "now": now,
        }
        return self._views.page(request, "account-keys", visitor=visitor, **values)

    @for_owner(_NEW)
    async def new_page(self, request: Request, visitor: Visitor) -> Response:
        """Show the form for a new key."""
        values = self._choices(visitor, _FIRST_FORM)
        return self._views.page(request, "account-key-new", visitor=visitor, **values)

    @form_of_owner(_NEW)
    async def create(self, request: Request, visitor: Visitor, fields: dict[str, str]) -> Response:
        """Create a key, and show its text, once."""
        create = self._service.api_keys.create
        try:
            wish = validate(CreateKeyForm, fields).as_request()
            new = await self._workers.write(create, visitor.principal, wish, caller_of(request))
        except RefusedError as error:
            values = self._choices(visitor, Form.from_error(error, fields))
            return self._views.refusal(request, error, "account-key-new", visitor=visitor, **values)
        return self._show_once(request, visitor, new, heading="Your new key")

    @for_owner(KEYS_PAGE)
    async def download(self, request: Request, visitor: Visitor) -> Response:
        """Return a file with the key that a page has just shown, and that is no longer known here.

        This acts on no account, so the form names none: a refusal would lose the key.

        A link to `data:` would need no request, but browsers store it in their list of downloads.
        """
        body = validate(KeepKeyForm, await read_fields(request))
        lines = [text.get_secret_value() for text in (body.key, body.secret) if text is not None]
        formats = self._texts.keys, self._texts.client_secrets
        if not all(form.is_well_formed(line) for form, line in zip(formats, lines, strict=False)):
            raise InvalidFieldsError({"key": ["is no key of this service"]})
        headers = {**HEADERS, "content-disposition": f'attachment; filename="{shown_part(lines[0])}.txt"'}
        return Response("".join(f"{line}\n" for line in lines), 200, headers, "text/plain")

    @for_owner(_KEY)
    async def key_page(self, request: Request, visitor: Visitor) -> Response:
        """Show one key, with the forms to rotate, to disable or enable, and to revoke it."""
        key = await self._find(visitor, query_of(request).get("key", ""))
        return self._views.page(request, "account-key", visitor=visitor, **self._key_values(key, Form()))

    @form_of_owner(KEYS_PAGE)
    async def rotate(self, request: Request, visitor: Visitor, fields: dict[str, str]) -> Response:
        """Rotate the secret of a key, and show the new text, once."""
        rotate = self._service.api_keys.rotate
        try:
            body = validate(RotateKeyForm, fields)
            new = await self._workers.write(
                rotate,
                visitor.principal,
                body.key,
                caller_of(request),
                activate=body.activate,
                grace_seconds=int(body.grace_seconds),
            )
        except RefusedError as error:
            return await self._refuse(request, visitor, error, fields)
        return self._show_once(request, visitor, new, heading="Your new secret", before=_fate_of_old(body))

    @form_of_owner(KEYS_PAGE)
    async def disable(self, request: Request, visitor: Visitor, fields: dict[str, str]) -> Response:
        """Disable a key."""
        return await self._switch(request, visitor, fields, self._service.api_keys.disable, "key-disabled")

    @form_of_owner(KEYS_PAGE)
    async def enable(self, request: Request, visitor: Visitor, fields: dict[str, str]) -> Response:
        """Switch a key on again."""
        return await self._switch(request, visitor, fields, self._service.api_keys.enable, "key-enabled")

    async def _switch(
        self,
        request: Request,
        visitor: Visitor,
        fields: dict[str, str],
        switch: Callable[[Principal, str, Caller], StoredAPIKey],
        notice: str,
    ) -> Response:
        try:
            key_id = validate(SwitchKeyForm, fields).key
            await self._workers.write(switch, visitor.principal, key_id, caller_of(request))
        except RefusedError as error:
            return await self._refuse(request, visitor, error, fields)
        return self._views.redirect_with_notice(request, KEYS_PAGE, notice)

    @form_of_owner(KEYS_PAGE)
    async def revoke(self, request: Request, visitor: Visitor, fields: dict[str, str]) -> Response:
        """Revoke a key, if the user confirmed it."""
        revoke = self._service.api_keys.revoke
        try:
            body = validate(RevokeKeyForm, fields)
            body.check_confirmed()
            await self._workers.write(revoke, visitor.principal, body.key, caller_of(request))
        except RefusedError as error:
            return await self._refuse(request, visitor, error, fields)
        return self._views.redirect_with_notice(request, KEYS_PAGE, "key-revoked")

    async def _list(self, visitor: Visitor) -> Sequence[StoredAPIKey]:
        return await self._workers.read(self._service.api_keys.list, visitor.principal)

    async def _find(self, visitor: Visitor, key_id: str) -> StoredAPIKey:
        """Return a key of the visitor.

        Raises:
            NotFoundError: if the visitor has no key with this id.
        """
        return find_key(await self._list(visitor), key_id)

    def _choices(self, visitor: Visitor, form: Form) -> dict[str, Any]:
        """Return the choices in the form for a new key: no more than the account may give."""
        settings = self._service.settings
        scopes = owner_scopes(visitor.user.roles, settings.admin_roles, settings.api_key_scopes)
        kinds = [prefix.removesuffix("_") for prefix in settings.key_prefixes]
        return {
            "form": form,
            "kinds": [(kind, _KINDS.get(kind, "")) for kind in kinds],
            "permissions": [name for name in PERMISSIONS if name in scopes],
            "further": sorted(scopes.difference(PERMISSIONS, [ROTATE_SELF])),
            "days": _DAYS,
            "lifetime": _period(settings.api_key_lifetime),
        }

    def _key_values(self, key: StoredAPIKey, form: Form) -> dict[str, Any]:
        return {
            "key": key,
            "form": form,
            "graces": _GRACES,
            "now": self._service.clock(),
            "disabled_by": _ACTORS.get(key.disabled_by or "", "the operator of the service"),
            "may_enable": key.disabled_by in _ACTORS,
        }

    async def _refuse(
        self, request: Request, visitor: Visitor, error: RefusedError, fields: Mapping[str, str]
    ) -> Response:
        """Show the page of the key again, with the error."""
        key = await self._find(visitor, fields.get("key", ""))
        values = self._key_values(key, Form.from_error(error, fields))
        return self._views.refusal(request, error, "account-key", visitor=visitor, **values)

    def _show_once(
        self, request: Request, visitor: Visitor, new: NewAPIKey, *, heading: str, before: str = ""
    ) -> Response:
        """Show the text of a key only in the answer to the form; no URL shows it again."""
        values: dict[str, Any] = {"new": new, "heading": heading, "before": before}
        return self._views.page(request, "account-key-shown", visitor=visitor, **values)


def find_key(keys: Iterable[StoredAPIKey], key_id: str) -> StoredAPIKey:
    """Return the key with an id.

    Raises:
        NotFoundError: if no key has this id.
    """
    for key in keys:
        if key.id == key_id:
            return key
    raise NotFoundError


def _fate_of_old(body: RotateKeyForm) -> str:
    """Return a sentence about the previous secret."""
    since = "is used from now on" if body.activate == "now" else "is used from its first use on"
    end = _GRACES.get(body.grace_seconds, f"ends {body.grace_seconds} seconds later")
    return f"The new secret {since}. The previous one {end}."


def _period(seconds: float) -> str:
    """Return the lifetime of keys as a text, such as `90 days`."""
    size, unit = (86_400, "day") if seconds >= 86_400 else (60, "minute")
    count = int(seconds // size)
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
