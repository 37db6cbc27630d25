"""List hostile requests to the identity service: every public entrance, and those with an own account."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote_from_bytes, urlencode

from benchmarks.hostile_service import EMAIL, ISSUER, MOST, PASSWORD, PROVIDER, Fields, Sent

_JSON, _FORM = b"application/json", b"application/x-www-form-urlencoded"
_BROWSER = ((b"sec-fetch-site", b"same-origin"), (b"sec-fetch-mode", b"navigate"), (b"accept", b"text/html"))

_V1 = "/v1"
#: The endpoints that read JSON, and the fields that they take.
JSON_ENTRANCES = {
    "/auth/register": ("email", "password", "name"), "/auth/login": ("email", "password"),
    "/auth/login-json": ("username", "password"), "/auth/refresh": ("refresh_token",),
    "/auth/verify-email": ("token", "password"), "/auth/verify-email/decline": ("token",),
    "/auth/verify-email/resend": ("email",), "/auth/forgot-password": ("email",),
    "/auth/reset-password": ("token", "new_password"),
    f"/auth/{PROVIDER}/callback": ("code", "redirect_uri", "code_verifier"),
    "/auth/change-password": ("current_password", "new_password"),
    "/auth/change-email": ("new_email", "password"), "/auth/change-email/confirm": ("token", "password"),
    "/auth/delete-account": ("password",),
}  # fmt: skip
#: The endpoints and pages that read forms.
FORM_ENTRANCES = {
    "/v1/auth/login": ("username", "password"),
    "/v1/oauth/token": ("grant_type", "username", "password", "refresh_token", "client_id", "client_secret"),
    "/v1/oauth/introspect": ("token", "client_id", "client_secret"), "/v1/oauth/revoke": ("token", "client_id", "client_secret"),
    "/login": ("email", "password", "next"), "/register": ("email", "password", "name", "next"),
    "/forgot-password": ("email",), "/reset-password": ("new_password",), "/verify-email": ("password", "new_password"),
    "/verify-email/resend": ("email",), "/verify-email/decline": (), "/change-email": ("password",),
    "/account/email": ("new_email", "password"), "/account/delete": ("password",), "/account/password": ("current_password", "new_password"),
    "/account/sessions/end": ("session",), "/account/providers/unlink": ("provider",), "/account/verify-email": (),
    "/logout": (),
}  # fmt: skip
_PRIVATE = (
    "/account",
    "/auth/change-password",
    "/auth/change-email",
    "/auth/delete-account",
    "/users",
    "/auth/logout",
)
_PAGES = (
    "/login",
    "/register",
    "/forgot-password",
    "/reset-password",
    "/verify-email",
    "/account",
    "/account/password",
    "/account/email",
    "/account/delete",
    "/change-email",
    "/logout",
    "/",
)
_READS = (
    *_PAGES, f"/v1/auth/{PROVIDER}/authorize", f"/v1/auth/{PROVIDER}/callback", "/v1/users/me", "/v1/users/me/sessions",
    "/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/nothing/here",
)  # fmt: skip


def _entrance(path: str, method: str) -> Sent:
    fields = () if path.startswith(_V1) else _BROWSER
    private = path.removeprefix(_V1).startswith(_PRIVATE)
    return Sent(path, method, fields, signed_in=private)


def _json_bodies() -> dict[str, bytes]:
    wide, deep = MOST // 2, MOST // 12
    texts = {
        "nothing": "", "no JSON": "x" * MOST, "spaces": " " * MOST, "arrays in arrays, not closed": "[" * MOST,
        "arrays in arrays": '{"a":' + "[" * 30_000 + "]" * 30_000 + "}", "arrays in arrays, 900 deep": '{"email":' + "[" * 900 + "]" * 900 + "}",
        "objects in objects": '{"a":' * (MOST // 7) + "1" + "}" * (MOST // 7), "an array": '{"email":[' + "1," * (wide - 20) + "1]}",
        "many members": "{" + ",".join(f'"{n}":1' for n in range(6000)) + "}", "members of one name": "{" + ",".join(['"a":1'] * 10_000) + "}",
        "a number of 64,000 digits": '{"a":' + "9" * 64_000 + "}", "numbers of 4,300 digits": '{"a":[' + ",".join(["9" * 4299] * 15) + "]}",
        "a fraction of 64,000 digits": '{"a":0.' + "9" * 64_000 + "}", "fractions of 700 digits": '{"a":[' + ",".join(["0." + "9" * 700] * 90) + "]}",
        "numbers with exponents": '{"a":[' + ",".join(["1e308"] * 10_000) + "]}", "halves of numbers": '{"a":[' + ",".join(["2.2250738585072011e-308"] * 2600) + "]}",
        "escapes": '{"email":"' + "\\u00e9" * 10_900 + '"}', "lone surrogates": '{"email":"' + "\\ud800" * 10_900 + '"}',
        "backslashes": '{"email":"' + "\\\\" * 32_700 + '"}', "escaped arrays": '{"a":[' + '"\\n",' * 13_000 + "1]}",
        "combining marks": json.dumps({"email": "a" + "\u0301\u0316" * 15_000 + "@x.com"}, ensure_ascii=False)[:60_000],
        "ligatures": json.dumps({"email": "\ufdfa" * 21_000, "password": "\ufdfa"}, ensure_ascii=False),
        "long members": json.dumps({"email": "a" * 30_000, "password": "b" * 30_000}), "a byte order mark": "\ufeff{}",
        "one letter too many": '{"a":"' + "a" * deep * 12 + '"}',
    }  # fmt: skip
    odd = {
        "bytes that are no UTF-8": b"\xff" * MOST,
        "half of a character": b'{"email":"' + b"\xc3" * 60_000 + b'"}',
        "zeros": b"\0" * MOST,
    }
    return {name: text.encode() for name, text in texts.items()} | odd


def _form_bodies() -> dict[str, bytes]:
    return {
        "nothing": b"", "many fields": b"a=1&" * 16_000, "fields without values": b"a&" * 32_000, "ampersands": b"&" * MOST,
        "percent signs": b"email=" + b"%" * 65_000, "percent signs in 19 fields": b"&".join(b"f%d=" % n + b"%" * 3400 for n in range(19)),
        "percent signs in names": b"%" * 65_000 + b"=1", "percent signs and letters": b"email=" + b"%zz" * 21_000, "encoded letters": b"email=" + b"%41" * 21_000,
        "encoded bytes that are no UTF-8": b"email=" + b"%ff" * 21_000, "encoded and other characters in turn": b"email=" + b"%41\xc3\xa9" * 13_000,
        "plus signs": b"email=" + b"+" * 65_000, "equals signs": b"=" * MOST, "a field twice": b"email=a&email=b",
        "bytes that are no UTF-8": b"email=" + b"\xff" * 65_000, "a long value": b"email=" + b"a" * 65_000, "a value to escape": b"email=" + b'"' * 65_000,
        "a next to escape": b"email=a%40x.com&password=x&next=/" + b"'" * 60_000, "a next of 2,000 ligatures": b"email=a%40x.com&password=x&next=/" + quote_from_bytes("\ufdfa".encode() * 2000).encode(),
        "a name to escape": b"email=x&password=x&name=" + b"<" * 60_000, "NUL characters": b"email=%00&token=%00&password=%00&session=%00&provider=%00",
    }  # fmt: skip


def _nasty(most: int) -> dict[str, str]:
    """Return texts of at most so many characters."""
    mark, vowel = "\u0301\u0316", "\u0f71\u0f72\u0f74"
    return {
        "combining marks": ("a" + mark * most)[:most], "ligatures": "\ufdfa" * most, "Tibetan vowels": (vowel * most)[:most],
        "letters that grow": "\u0130\u1e9e" * (most // 2), "NUL characters": "\0" * most, "astral characters": "\U0001f600" * most,
        "bidi marks": "\u202e" * most, "Hangul": "\u1100\u1161\u11a8" * (most // 3), "spaces": " " * most, "quotes": "\"'<>&" * (most // 5),
    }  # fmt: skip


_ADDRESSES = "email", "username", "new_email"


def _values() -> dict[str, dict[str, str]]:
    """Return the value of each field for each set of values."""
    sets: dict[str, dict[str, str]] = {}
    for name, text in _nasty(320).items():
        sets[f"an address of {name}"] = dict.fromkeys(_ADDRESSES, text[:200] + "@x.com")
        sets[f"a domain of {name}"] = dict.fromkeys(_ADDRESSES, "a@" + text[:250] + ".com")
    for name, text in _nasty(1024).items():
        names = "password", "new_password", "current_password", "client_secret"
        sets[f"a password of {name}"] = dict.fromkeys(names, text)
        sets[f"a new password of {name}"] = dict.fromkeys(names, "Aa1!" + text[:252])
        sets[f"a name of {name}"] = {"name": text[:200]}
    dots, parts = "." * 16_000, "A" * 8000 + "." + "A" * 7000 + ".A"
    for name, text in {
        "16 KB": "a" * 16_000,
        "dots": dots,
        "three parts": parts,
        "characters": "\ufdfa" * 5000,
        "NUL": "\0",
    }.items():
        names = "token", "refresh_token", "code", "client_id", "client_secret", "session", "provider"
        sets[f"a token of {name}"] = dict.fromkeys(names, text)
    sets["a long address"] = dict.fromkeys(_ADDRESSES, ".".join(["b" * 60] * 4) + "@" + "a." * 26 + "com")
    sets["an address in quotes"] = dict.fromkeys(_ADDRESSES, '"' + "\\a" * 30 + '"@x.com')
    return sets


_GOOD = {
    "email": "new@example.com", "username": EMAIL, "password": PASSWORD, "new_password": "Other-horse-10", "current_password": PASSWORD,
    "token": "a" * 43, "refresh_token": "a" * 43, "name": "Ann", "code": "a" * 20, "redirect_uri": f"{ISSUER}/v1/auth/{PROVIDER}/callback",
    "code_verifier": "v" * 43, "session": "a" * 36, "provider": PROVIDER, "client_id": "api", "client_secret": "s" * 43, "grant_type": "password",
    "next": "/", "new_email": "moved@example.com",
}  # fmt: skip


def _bodies() -> dict[str, Sent]:
    requests = {}
    for path in JSON_ENTRANCES:
        for name, body in _json_bodies().items():
            requests[f"{path}: {name}"] = _entrance(_V1 + path, "POST").typed(_JSON, body)
    for path in FORM_ENTRANCES:
        for name, body in _form_bodies().items():
            requests[f"{path}, form: {name}"] = _entrance(path, "POST").typed(_FORM, body)
    json_body, form = b'{"email":"' + b"a" * 60_000 + b'"}', b"email=" + b"a" * 60_000
    for path, kind, body in (
        ("/v1/auth/login", _JSON, json_body),
        ("/login", _FORM, form),
        ("/v1/oauth/token", _FORM, form),
    ):
        sent = _entrance(path, "POST").typed(kind, body)
        requests[f"{path}: in chunks of 64 bytes"] = replace(sent, chunk=64)
        requests[f"{path}: a megabyte"] = replace(sent, body=b"a" * 1_000_000)
        multipart = b"multipart/form-data; boundary=" + b"a" * 70
        requests[f"{path}: multipart"] = _entrance(path, "POST").typed(
            multipart, (b"--" + b"a" * 70 + b"\r\n\r\n") * 800
        )
        requests[f"{path}: a media type of 64 KB"] = _entrance(path, "POST").typed(kind + b";" * 60_000, body)
    for path in ("/v1/auth/logout", "/v1/auth/logout-all", "/v1/auth/refresh"):
        sent = _entrance(path, "POST")
        requests[f"{path}: a body that is not asked for"] = replace(sent, body=b"[" * MOST, signed_in=True)
    return requests


def _field_values() -> dict[str, Sent]:
    requests = {}
    for name, values in _values().items():
        for path, fields in JSON_ENTRANCES.items():
            if values.keys() & set(fields):
                body = json.dumps(
                    {field: values.get(field, _GOOD[field]) for field in fields}, ensure_ascii=False
                )
                requests[f"{path}: {name}"] = _entrance(_V1 + path, "POST").typed(_JSON, body.encode())
        for path, fields in FORM_ENTRANCES.items():
            if values.keys() & set(fields):
                form = urlencode({field: values.get(field, _GOOD[field]) for field in fields})
                requests[f"{path}, form: {name}"] = _entrance(path, "POST").typed(_FORM, form.encode())
    return requests


def _header_fields() -> dict[str, Sent]:
    basic = {
        "letters": b"A" * MOST, "a client of 48 KB": base64.b64encode(b"a" * 48_000 + b":b"), "percent signs": base64.b64encode(b"%" * 48_000 + b":b"),
        "a secret of percent signs": base64.b64encode(b"a:" + b"%" * 48_000), "encoded letters": base64.b64encode(b"%41" * 16_000 + b":b"),
        "colons": base64.b64encode(b":" * 48_000), "no UTF-8": base64.b64encode(b"\xff" * 48_000), "equals signs": b"=" * MOST, "spaces": b" " * MOST,
        "NUL": base64.b64encode(b"%00:%00"), "line breaks": base64.b64encode(b"a" * 100) + b"\n" * 60_000,
    }  # fmt: skip
    fields: dict[str, Fields] = {
        f"Basic of {name}": ((b"authorization", b"Basic " + value),) for name, value in basic.items()
    }
    fields |= {
        f"Bearer of {name}": ((b"authorization", b"Bearer " + value),)
        for name, value in {
            "64 KB": b"a" * MOST,
            "dots": b"." * MOST,
            "three parts": b"A" * 8000 + b"." + b"A" * 7000 + b".A",
        }.items()
    }
    names = b"authguard", b"authguard-refresh", b"authguard-reset", b"authguard-verify", b"authguard-social"
    for name in names:
        fields[f"the cookie {name.decode()} of 64 KB"] = ((b"cookie", name + b"=" + b"A" * MOST),)
        fields[f"the cookie {name.decode()} many times"] = ((b"cookie", b"; ".join([name + b"=A"] * 2500)),)
        fields[f"the cookie {name.decode()} of bytes"] = ((b"cookie", name + b"=" + b"\xff\0" * 100),)
    sealed = base64.urlsafe_b64encode(b"\x80" + b"\0" * 40_000)
    fields |= {
        "a forged state": ((b"cookie", b"authguard-social=" + sealed),), "semicolons": ((b"cookie", b";" * MOST),),
        "equals signs in cookies": ((b"cookie", b"a=" * 32_000),), "10,000 cookies": ((b"cookie", b"a=1;" * 10_000),),
        "1,000 fields of cookies": ((b"cookie", b"a=1"),) * 1000, "a User-Agent of 64 KB": ((b"user-agent", b"A" * MOST),),
        "a User-Agent of bytes": ((b"user-agent", b"\xff\0" * 100),), "a User-Agent to escape": ((b"user-agent", b"<" * MOST),),
        "an Accept of 64 KB": ((b"accept", b"text/html;q=0," * 4600),), "semicolons in Accept": ((b"accept", b";" * MOST),),
        "an Origin of 64 KB": ((b"origin", b"http://" + b"a" * MOST),), "a Host of 64 KB": ((b"host", b"a" * MOST),),
        "a Content-Length of no number": ((b"content-length", b"9" * 5000),), "1,000 fields": ((b"x-a", b"1"),) * 1000,
        "a Sec-Fetch-Mode of 64 KB": ((b"sec-fetch-mode", b"a" * MOST),), "forwarded for 64 KB": ((b"x-forwarded-for", b"1," * 32_000),),
    }  # fmt: skip
    posts = (("/v1/auth/login", _JSON, b"{}"), ("/login", _FORM, b"email=a"), ("/v1/oauth/token", _FORM, b"grant_type=a"),
             ("/v1/oauth/introspect", _FORM, b"token=a"), ("/v1/oauth/revoke", _FORM, b"token=a"), ("/v1/auth/logout", _JSON, b""),
             ("/v1/auth/refresh", _JSON, b"{}"), ("/verify-email", _FORM, b"password=a"), ("/reset-password", _FORM, b"new_password=a"))  # fmt: skip
    gets = (
        *_PAGES[:6],
        f"/v1/auth/{PROVIDER}/authorize",
        f"/v1/auth/{PROVIDER}/callback",
        "/v1/users/me",
        "/.well-known/jwks.json",
        "/nothing",
    )
    entrances = {
        f"POST {path}": replace(_entrance(path, "POST"), signed_in=False).typed(kind, body)
        for path, kind, body in posts
    }
    entrances |= {f"GET {path}": replace(_entrance(path, "GET"), signed_in=False) for path in gets}
    return {
        f"{title}: {name}": replace(sent, fields=sent.fields + value)
        for name, value in fields.items()
        for title, sent in entrances.items()
    }


def _queries() -> dict[str, Sent]:
    queries = {
        f"{name} of 64 KB": name.encode() + b"=" + b"a" * 65_000
        for name in ("state", "code", "token", "notice", "acr_values", "max_age", "iss")
    }
    queries |= {
        "a next of 64 KB": b"next=/" + b"a" * 60_000, "a next of 2,000 quotes": b"next=/?" + b"'" * 2000, "a next to escape": b"next=/" + b"%22" * 20_000,
        "a next of 2,000 ligatures": b"next=/" + quote_from_bytes("\ufdfa".encode() * 2000).encode(), "a next of 800 ligatures": b"next=/" + quote_from_bytes("\ufdfa".encode() * 800).encode(), "a next of slashes": b"next=" + b"/" * 2000,
        "a next of 60 KB, in characters": b"next=/" + b"\xef\xb7\xba" * 20_000, "a next of ampersands": b"next=/?" + b"%26" * 600,
        "an acr_values of 4 KB": b"next=/a&max_age=5&acr_values=" + b"'" * 4000, "a max_age of digits": b"max_age=" + b"9" * 4000,
        "parameters": b"a&" * 32_000, "parameters with values": b"a=1&" * 16_000, "ampersands": b"&" * MOST, "percent signs": b"next=" + b"%" * 65_000,
        "percent signs in names": b"%" * 65_000, "encoded letters": b"code=" + b"%41" * 21_000, "bytes": b"token=" + b"\xff" * 65_000,
        "tokens": b"token=a&" * 8000, "codes": b"code=a&state=b&" * 4000, "equals signs": b"=" * MOST, "plus signs": b"state=" + b"+" * 65_000,
        "a token that is encoded": b"token=" + b"%41" * 21_000, "semicolons": b";" * MOST, "NUL": b"code=%00&state=%00&token=%00&next=%00",
    }  # fmt: skip
    requests = {
        f"{path}: {name}": replace(_entrance(path, "GET"), query=query)
        for name, query in queries.items()
        for path in _READS
    }
    for path in (f"/v1/auth/{PROVIDER}/authorize", f"/v1/auth/{PROVIDER}/callback"):
        for name, query in queries.items():
            requests[f"{path}, in a browser: {name}"] = Sent(path, "GET", _BROWSER, query)
    return requests


def _paths() -> dict[str, Sent]:
    kinds = {
        "letters": "a" * MOST, "slashes": "/" * MOST, "dots": "../" * 21_000, "NUL": "\0", "ligatures": "\ufdfa" * 20_000, "percent signs": "%" * MOST,
        "combining marks": "\u0301\u0316" * 20_000, "surrogates": "\udcff" * 20_000, "semicolons": ";" * MOST, "backslashes": "\\" * MOST, "short": "\ufdfa\u0301",
    }  # fmt: skip
    templates = {
        "a provider": ("/v1/auth/{}/authorize", "GET"), "a provider's callback": ("/v1/auth/{}/callback", "GET"), "a code": ("/v1/auth/{}/callback", "POST"),
        "a session": ("/v1/users/me/sessions/{}", "DELETE"), "an identity": ("/v1/users/me/identities/{}", "DELETE"), "nothing": ("/{}", "GET"),
        "nothing of the API": ("/v1/{}", "POST"), "nothing well known": ("/.well-known/{}", "GET"), "a login": ("/login{}", "GET"),
        "an asset": ("/assets/{}", "GET"), "a link": ("/{}/verify-email", "GET"),
    }  # fmt: skip
    requests = {
        f"the path of {what}: {name}": Sent(template.format(text), method, signed_in=method == "DELETE")
        for what, (template, method) in templates.items()
        for name, text in kinds.items()
    }
    for method in ("A" * MOST, "get", "\xff", "", "OPTIONS", "TRACE", "HEAD", "PUT"):
        for path in (
            "/v1/auth/login",
            "/login",
            "/account",
            "/v1/users/me",
            "/.well-known/jwks.json",
            "/nothing",
        ):
            requests[f"{path}: the method {method[:8]!r}"] = replace(_entrance(path, method), signed_in=False)
    return requests


def _api_keys() -> dict[str, Sent]:
    """Return requests for API keys, of the owner and of callers with texts that are not keys."""
    posts = "/v1/api-keys", "/v1/auth/api-keys", "/v1/api-keys/key_1/rotations"
    bodies = _json_bodies() | {
        "scopes": json.dumps({"name": "n", "scopes": [5] * 20_000}).encode(), "permissions": json.dumps({"permissions": ["x"] * 12_000}).encode(),
        "networks": json.dumps({"name": "n", "networks": ["1.1.1.1"] * 5000}).encode(), "a long network": json.dumps({"name": "n", "networks": ["1" * 60_000]}).encode(),
        "metadata": json.dumps({"name": "n", "metadata": {str(number): number for number in range(3000)}}).encode(),
        "long scopes": json.dumps({"name": "n", "scopes": ["x" * 65] * 900}).encode(), "marks": json.dumps({"name": "\u0301" * 10_000}).encode(),
        "much nested metadata": b'{"name":"n","metadata":{"a":[' + b",".join([b"[" * 8 + b"]" * 8] * 3800) + b"]}}",
        "nested metadata": b'{"name":"n","metadata":{"a":' + b"[" * 900 + b"]" * 900 + b"}}", "days": b'{"name":"n","expires_in_days":' + b"9" * 4000 + b"}",
        "an activation": json.dumps({"activate": "a" * 60_000}).encode(), "a grace": b'{"grace_seconds":' + b"9" * 4000 + b"}",
    }  # fmt: skip
    bodies |= {
        f"a name of {name}": json.dumps({"name": text[:201] + "\0"}).encode()
        for name, text in _nasty(320).items()
    }
    requests = {
        f"POST {path}: {name}": Sent(path, "POST", signed_in=True).typed(_JSON, body)
        for path in posts
        for name, body in bodies.items()
    }
    for name, text in {
        "letters": "a" * MOST,
        "NUL": "\0",
        "ligatures": "\ufdfa" * 20_000,
        "surrogates": "\udcff" * 20_000,
        "dots": ".." * 20,
    }.items():
        for path, method in (
            (f"/v1/api-keys/{text}", "DELETE"),
            (f"/v1/auth/api-keys/{text}", "DELETE"),
            (f"/v1/api-keys/{text}/rotations", "POST"),
        ):
            requests[f"{method} a key of {name}: {path[:20]}"] = Sent(path, method, signed_in=True).typed(
                _JSON, b"{}"
            )
    body = b"a" * 16 + b"_" + b"b" * 43 + b"_"
    keys = {
        "64 KB": b"sk_live_" + b"a" * MOST, "underscores": b"sk_live_" + b"_" * 500, "the longest": b"sk_live_" + b"a" * 500, "no check": b"claw_" + body,
        "a wrong check": b"claw_" + body + b"000000", "letters and underscores": b"sk_live_" + b"a_" * 250, "bytes": b"\xff" * 500, "commas": b"," * 500,
    }  # fmt: skip
    for name, key in keys.items():
        for path in ("/v1/users/me", "/v1/api-keys", "/v1/auth/usage", "/v1/auth/change-password", "/login"):
            requests[f"{path}: an X-API-Key of {name}"] = Sent(path, fields=((b"x-api-key", key),))
            requests[f"{path}: a Bearer key of {name}"] = Sent(
                path, fields=((b"authorization", b"Bearer " + key),)
            )
    return requests


#: All requests, in groups.
GROUPS: dict[str, Callable[[], dict[str, Sent]]] = {
    "the service's bodies": _bodies, "the service's fields of bodies": _field_values, "the service's header fields": _header_fields,
    "the service's queries": _queries, "the service's paths and methods": _paths, "the service's API keys": _api_keys,
}  # fmt: skip


def usual() -> list[Sent]:
    """Return usual requests, for the preparation."""
    login = json.dumps({"email": EMAIL, "password": PASSWORD}).encode()
    form = urlencode({"email": EMAIL, "password": PASSWORD}).encode()
    return [
        Sent("/v1/auth/login", "POST").typed(_JSON, login), _entrance("/login", "POST").typed(_FORM, form), Sent("/v1/auth/login", "POST").typed(_JSON, b"{}"),
        *(_entrance(path, "GET") for path in _READS), Sent("/nothing", "GET", _BROWSER), *(_entrance(path, "POST").typed(_FORM, b"") for path in FORM_ENTRANCES),
        Sent("/v1/users/me", signed_in=True), Sent("/v1/api-keys", signed_in=True), Sent("/v1/auth/usage", signed_in=True),
    ]  # fmt: skip
