"""List requests and their answers, which are the same over every adapter, in sections."""

from adapters.answering import (
    ADMIN,
    BEARER,
    CROSS,
    EXPIRED,
    FORGED,
    FRESH,
    GOOD,
    HTML,
    HTMX,
    INVALID_REQUEST,
    INVALID_TOKEN,
    KEY,
    LACKS_SCOPE,
    NAVIGATES,
    NOW,
    OFF_KEY,
    OLD_KEY,
    OWN_ORIGIN,
    PREFLIGHT,
    SAME,
    SIBLING,
    STALE,
    STEP_UP,
    Case,
    api_key,
    bearer,
    cookie,
    token,
)

#: Requests without a credential, on each kind of path.
PATHS: dict[str, Case] = {
    "no credential on a public page": Case(path="/public"),
    "no credential on the root page": Case(path="/"),
    "no credential below a public page": Case(path="/public/logo.svg"),
    "no credential on the login page": Case(method="POST", path="/login"),
    "no credential on a protected page": Case(status=401, challenge=BEARER),
    "no credential on a page of no list": Case(path="/other", status=401, challenge=BEARER),
    "no credential with HEAD": Case(method="HEAD", status=401, challenge=BEARER),
    "no credential with an unknown method": Case(method="PROPFIND", status=401, challenge=BEARER),
    "no credential beside a public page": Case(path="/publicity", status=401, challenge=BEARER),
    "no credential with the method WEBSOCKET": Case(method="WEBSOCKET", path="/socket", status=401, challenge=BEARER),
    "no credential with the method websocket": Case(method="websocket", path="/socket", status=401, challenge=BEARER),
    "no credential with a method in small letters": Case(method="get", status=401, challenge=BEARER),
    "no credential on a path that is too long": Case(path="/public/" + "a" * 9000, status=401, challenge=BEARER),
    "a good token on an odd path with long readings": Case(path="/public//" + "%EF%B7%BA" * 99, fields=[bearer(GOOD)], status=401, challenge=BEARER),
    "no credential on an odd path": Case(path="/public/../private", status=401, challenge=BEARER),
    "no credential on a path with a line break": Case(path="/public/%0a", status=401, challenge=BEARER),
    "no credential on a path that is not UTF-8": Case(path="/public/%ff", status=401, challenge=BEARER),
}  # fmt: skip

#: One Authorization field.
AUTHORIZATION: dict[str, Case] = {
    "a good token": Case(fields=[bearer(GOOD)], subject="somebody"),
    "a good token twice": Case(fields=[bearer(GOOD)], subject="somebody"),
    "a good token below": Case(path="/private/x/y", fields=[bearer(GOOD)], subject="somebody"),
    "a good token on a public page": Case(path="/public", fields=[bearer(GOOD)], subject="somebody"),
    "a good token on an odd path": Case(path="/public/../private", fields=[bearer(GOOD)], subject="somebody"),
    "a lower-case scheme": Case(fields=[bearer(GOOD, "bearer ")], subject="somebody"),
    "an upper-case scheme": Case(fields=[bearer(GOOD, "BEARER ")], subject="somebody"),
    "two spaces": Case(fields=[bearer(GOOD, "Bearer  ")], subject="somebody"),
    "white space around": Case(fields=[("Authorization", f" Bearer {GOOD} ".encode())], subject="somebody"),
    "a tab after the scheme": Case(fields=[bearer(GOOD, "Bearer\t")], status=401, challenge=BEARER),
    "a colon after the scheme": Case(fields=[bearer(GOOD, "Bearer: ")], status=401, challenge=BEARER),
    "another scheme": Case(fields=[bearer("dXNlcjpwdw==", "Basic ")], status=401, challenge=BEARER),
    "a token with no scheme": Case(fields=[bearer(GOOD, "")], status=401, challenge=BEARER),
    "an empty Authorization field": Case(fields=[bearer("", "")], status=401, challenge=BEARER),
    "no token after Bearer": Case(fields=[bearer("", "Bearer")], status=400, challenge=INVALID_REQUEST),
    "only a space after Bearer": Case(fields=[bearer("", "Bearer ")], status=400, challenge=INVALID_REQUEST),
    "text after the token": Case(fields=[bearer(f"{GOOD} x")], status=400, challenge=INVALID_REQUEST),
    "a token that is not ASCII": Case(fields=[bearer("caf\xe9")], status=400, challenge=INVALID_REQUEST),
}  # fmt: skip

#: More than one credential.
SEVERAL: dict[str, Case] = {
    "two Authorization fields": Case(fields=[bearer(GOOD), bearer(GOOD)], status=400, challenge=INVALID_REQUEST),
    "a bad one before a good one": Case(fields=[bearer("bad"), bearer(GOOD)], status=400, challenge=INVALID_REQUEST),
    "a good one behind Basic": Case(fields=[bearer("x", "Basic "), bearer(GOOD)], status=400, challenge=INVALID_REQUEST),
    "a joined field": Case(fields=[bearer(f"{GOOD}, Bearer {GOOD}")], status=400, challenge=INVALID_REQUEST),
    "a token and a key": Case(fields=[bearer(GOOD), api_key(KEY)], status=400, challenge=INVALID_REQUEST),
    "a bad token and a good key": Case(fields=[bearer("bad"), api_key(KEY)], status=400, challenge=INVALID_REQUEST),
    "two joined Basic fields": Case(fields=[bearer("eDp5eg==", "Basic ")] * 2, status=400, challenge=INVALID_REQUEST),
    "Basic and Digest": Case(fields=[bearer("eDp5", "Basic "), bearer('a="b", c="d"', "Digest ")], status=400, challenge=INVALID_REQUEST),
    "Digest and Bearer": Case(fields=[bearer('a="b", c="d"', "Digest "), bearer(GOOD)], status=400, challenge=INVALID_REQUEST),
    "Bearer and an empty field": Case(fields=[bearer(GOOD), bearer("", "")], status=400, challenge=INVALID_REQUEST),
    "an empty field and Bearer": Case(fields=[bearer("", ""), bearer(GOOD)], status=400, challenge=INVALID_REQUEST),
    "two empty Authorization fields": Case(fields=[bearer("", ""), bearer("", "")], status=400, challenge=INVALID_REQUEST),
    "Digest alone": Case(fields=[bearer('a="b", c="d"', "Digest ")], status=401, challenge=BEARER),
    "two keys": Case(fields=[api_key(KEY), api_key(KEY)], status=400, challenge=INVALID_REQUEST),
    "a good key and a bad one": Case(fields=[api_key(KEY), api_key("bad")], status=400, challenge=INVALID_REQUEST),
    "an empty key and a good one": Case(fields=[api_key(""), api_key(KEY)], status=400, challenge=INVALID_REQUEST),
    "two empty keys": Case(fields=[api_key(""), api_key("")], status=400, challenge=INVALID_REQUEST),
    "two keys, not ASCII": Case(fields=[api_key("caf\xe9"), api_key("caf\xe9")], status=400, challenge=INVALID_REQUEST),
    "two keys of a megabyte": Case(fields=[api_key("k" * 1_000_000), api_key("x")], status=400, challenge=INVALID_REQUEST),
    "a key with a comma": Case(fields=[api_key(f"{KEY},x")], status=400, challenge=INVALID_REQUEST),
    "a key with a comma at its end": Case(fields=[api_key(f"{KEY},")], status=400, challenge=INVALID_REQUEST),
    "a key with a comma after Bearer": Case(fields=[bearer(f"{KEY},{KEY}")], status=400, challenge=INVALID_REQUEST),
    "a token as Bearer, a key as Bearer": Case(fields=[bearer(GOOD), bearer(KEY)], status=400, challenge=INVALID_REQUEST),
    "two keys on a public page": Case(path="/public", fields=[api_key(KEY), api_key(KEY)]),
    "two keys where a browser navigates": Case(fields=[HTML, api_key(KEY), api_key(KEY)], status=400, challenge=INVALID_REQUEST, page=True),
}  # fmt: skip

#: Tokens that are refused.
INVALID: dict[str, Case] = {
    "an expired token": Case(fields=[bearer(EXPIRED)], status=401, challenge=INVALID_TOKEN),
    "an expired token on a public page": Case(path="/public", fields=[bearer(EXPIRED)]),
    "a forged token": Case(fields=[bearer(FORGED)], status=401, challenge=INVALID_TOKEN),
    "a forged token on a page with scopes": Case(path="/admin", fields=[bearer(FORGED)], status=401, challenge=INVALID_TOKEN),
    "a token of another issuer": Case(fields=[bearer(token(iss="https://other"))], status=401, challenge=INVALID_TOKEN),
    "a token for another audience": Case(fields=[bearer(token(aud="https://other"))], status=401, challenge=INVALID_TOKEN),
    "garbage": Case(fields=[bearer("a.b.c")], status=401, challenge=INVALID_TOKEN),
    "a token too long": Case(fields=[bearer("a" * 20_000)], status=401, challenge=INVALID_TOKEN),
}  # fmt: skip

#: Scopes and roles.
SCOPES: dict[str, Case] = {
    "a scope that is missing": Case(path="/admin", fields=[bearer(GOOD)], status=403, challenge=f'{LACKS_SCOPE}, error_description="'),
    "a scope that the token has": Case(path="/admin/users", fields=[bearer(ADMIN)], subject="somebody"),
    "a role that is missing": Case(path="/roles", fields=[bearer(GOOD)], status=403, challenge=LACKS_SCOPE),
    "a role that the token has": Case(path="/roles", fields=[bearer(ADMIN)], subject="somebody"),
}  # fmt: skip

#: Age and method of the sign-in (RFC 9470).
SIGN_INS: dict[str, Case] = {
    "a recent sign-in": Case(path="/recent", fields=[bearer(FRESH)], subject="somebody"),
    "a sign-in in the cookie": Case(path="/recent", fields=[cookie(FRESH)], subject="somebody"),
    "a sign-in too long ago": Case(path="/recent", fields=[bearer(STALE)], status=401, challenge=f'{STEP_UP}, max_age="300"'),
    "a sign-in too long ago, twice": Case(path="/recent", fields=[bearer(STALE)], status=401, challenge=f'{STEP_UP}, max_age="300"'),
    "a sign-in without a time": Case(path="/recent", fields=[bearer(GOOD)], status=401, challenge=STEP_UP),
    "a sign-in in the future": Case(path="/recent", fields=[bearer(token(auth_time=NOW + 31))], status=401, challenge=STEP_UP),
    "a sign-in by a fast clock": Case(path="/recent", fields=[bearer(token(auth_time=NOW + 30))], subject="somebody"),
    "a sign-in, but no credential": Case(path="/recent", status=401, challenge=BEARER),
    "a sign-in, on an odd path": Case(path="/public/../recent", fields=[bearer(STALE)], status=401, challenge=STEP_UP),
    "a key never signed in": Case(path="/recent", fields=[api_key(KEY)], status=401, challenge=STEP_UP),
    "an accepted acr": Case(path="/strong", fields=[bearer(FRESH)], subject="somebody"),
    "an acr that is not accepted": Case(path="/strong", fields=[bearer(STALE)], status=401, challenge=f'{STEP_UP}, acr_values="phrh phr"'),
    "no acr": Case(path="/strong", fields=[bearer(GOOD)], status=401, challenge=STEP_UP),
    "a scope, an acr and a sign-in": Case(path="/vault", fields=[bearer(FRESH)], subject="somebody"),
    "a scope first": Case(path="/vault", fields=[bearer(token(auth_time=NOW - 301))], status=403, challenge=LACKS_SCOPE),
    "then acr and sign-in": Case(path="/vault", fields=[bearer(STALE)], status=401, challenge=f'{STEP_UP}, acr_values="phr", max_age="300"'),
    "a browser that must sign in again": Case(path="/recent?a=1", fields=[HTML, cookie(STALE)], status=303, location="/login?next=%2Frecent%3Fa%3D1&max_age=300"),
    "a browser that needs another acr": Case(path="/strong", fields=[HTML, cookie(STALE)], status=303, location="/login?next=%2Fstrong&acr_values=phrh+phr"),
    "a browser that lacks a scope": Case(path="/vault", fields=[HTML, cookie(GOOD)], status=403, challenge=LACKS_SCOPE, page=True),
    "a browser that posts, signed in long ago": Case(method="POST", path="/recent", fields=[HTML, cookie(STALE), SAME], status=401, challenge=STEP_UP, page=True),
    "a script, signed in long ago": Case(path="/recent", fields=[cookie(STALE), ("Sec-Fetch-Mode", b"cors")], status=401, challenge=STEP_UP),
    "a browser with a token, signed in long ago": Case(path="/recent", fields=[HTML, bearer(STALE)], status=401, challenge=STEP_UP, page=True),
}  # fmt: skip

#: API keys.
KEYS: dict[str, Case] = {
    "a key": Case(fields=[api_key(KEY)], subject="robot"),
    "a key in the Authorization field": Case(fields=[bearer(KEY)], subject="robot"),
    "a key beside Basic": Case(fields=[bearer("eA==", "Basic "), api_key(KEY)], subject="robot"),
    "a key without the scope": Case(path="/admin", fields=[api_key(KEY)], status=403, challenge=LACKS_SCOPE),
    "a key disguised as a scheme": Case(fields=[bearer(KEY, "X-API-Key ")], status=401, challenge=BEARER),
    "a key in another case": Case(fields=[api_key(KEY.swapcase())], status=401, challenge=INVALID_TOKEN),
    "a key with a suffix": Case(fields=[api_key(KEY + "x")], status=401, challenge=INVALID_TOKEN),
    "a key cut short": Case(fields=[api_key(KEY[:-1])], status=401, challenge=INVALID_TOKEN),
    "an empty key": Case(fields=[api_key("")], status=401, challenge=INVALID_TOKEN),
    "a key that is not ASCII": Case(fields=[api_key("caf\xe9")], status=401, challenge=INVALID_TOKEN),
    "a key of a megabyte": Case(fields=[api_key("k" * 1_000_000)], status=401, challenge=INVALID_TOKEN),
    "an expired key": Case(fields=[api_key(OLD_KEY)], status=401, challenge=INVALID_TOKEN),
    "a disabled key": Case(fields=[api_key(OFF_KEY)], status=401, challenge=INVALID_TOKEN),
    "a token as a key": Case(fields=[api_key(GOOD)], status=401, challenge=INVALID_TOKEN),
}  # fmt: skip

#: Pages that need no credential.
OPTIONAL: dict[str, Case] = {
    "optional, no credential": Case(path="/maybe"),
    "optional, a good token": Case(path="/maybe", fields=[bearer(GOOD)], subject="somebody"),
    "optional, a bad token": Case(path="/maybe", fields=[bearer(FORGED)], status=401, challenge=INVALID_TOKEN),
    "lenient, a bad token": Case(path="/lenient", fields=[bearer(FORGED)]),
}  # fmt: skip

#: OPTIONS, by CORS and otherwise.
PREFLIGHTS: dict[str, Case] = {
    "a preflight": Case(method="OPTIONS", fields=PREFLIGHT, status=204),
    "a preflight below": Case(method="OPTIONS", path="/admin/users", fields=PREFLIGHT, status=204),
    "a preflight on a page of no list": Case(method="OPTIONS", path="/other", fields=PREFLIGHT, status=204),
    "a preflight on an odd path": Case(method="OPTIONS", path="/public/../private", fields=PREFLIGHT, status=204),
    "a preflight on a public page": Case(method="OPTIONS", path="/public", fields=PREFLIGHT),
    "a preflight, optional": Case(method="OPTIONS", path="/maybe", fields=PREFLIGHT),
    "a preflight, lenient": Case(method="OPTIONS", path="/lenient", fields=PREFLIGHT),
    "a preflight of a browser": Case(method="OPTIONS", fields=[*PREFLIGHT, HTML, CROSS], status=204),
    "a preflight with another cookie": Case(method="OPTIONS", fields=[*PREFLIGHT, ("Cookie", b"theme=dark")], status=204),
    "OPTIONS with a good token": Case(method="OPTIONS", fields=[*PREFLIGHT, bearer(GOOD)], subject="somebody"),
    "OPTIONS with a good key": Case(method="OPTIONS", fields=[*PREFLIGHT, api_key(KEY)], subject="robot"),
    "OPTIONS with a good cookie": Case(method="OPTIONS", fields=[*PREFLIGHT, cookie(GOOD)], subject="somebody"),
    "OPTIONS with a bad token": Case(method="OPTIONS", fields=[*PREFLIGHT, bearer(FORGED)], status=401, challenge=INVALID_TOKEN),
    "OPTIONS with a bad key": Case(method="OPTIONS", fields=[*PREFLIGHT, api_key(OLD_KEY)], status=401, challenge=INVALID_TOKEN),
    "OPTIONS with a bad cookie": Case(method="OPTIONS", fields=[*PREFLIGHT, cookie(EXPIRED)], status=401, challenge=INVALID_TOKEN),
    "OPTIONS with Basic": Case(method="OPTIONS", fields=[*PREFLIGHT, bearer("x", "Basic ")], status=401, challenge=BEARER),
    "OPTIONS with two credentials": Case(method="OPTIONS", fields=[*PREFLIGHT, bearer(GOOD), api_key(KEY)], status=400, challenge=INVALID_REQUEST),
    "OPTIONS without the scope": Case(method="OPTIONS", path="/admin", fields=[*PREFLIGHT, bearer(GOOD)], status=403, challenge=LACKS_SCOPE),
    "OPTIONS without Origin": Case(method="OPTIONS", fields=PREFLIGHT[1:], status=401, challenge=BEARER),
    "OPTIONS without a method": Case(method="OPTIONS", fields=PREFLIGHT[:1], status=401, challenge=BEARER),
}  # fmt: skip

#: Redirects to the login page.
BROWSERS: dict[str, Case] = {
    "a browser": Case(fields=[HTML], status=303, location="/login?next=%2Fprivate"),
    "a browser with Sec-Fetch-Mode": Case(path="/private?a=1&b=%2F", fields=[NAVIGATES], status=303, location="/login?next=%2Fprivate%3Fa%3D1%26b%3D%252F"),
    "a browser with HEAD": Case(method="HEAD", fields=[HTML], status=303, location="/login?next=%2Fprivate"),
    "a browser with a stale cookie": Case(fields=[HTML, cookie(EXPIRED)], status=303, location="/login?next=%2Fprivate"),
    "a browser with a broken cookie": Case(fields=[HTML, cookie("%%%")], status=303, location="/login?next=%2Fprivate"),
    "a browser on an odd path": Case(path="/public//private", fields=[HTML], status=303, location="/login"),
    "a script that accepts HTML": Case(fields=[HTML, ("Sec-Fetch-Mode", b"cors")], status=401, challenge=BEARER),
    "a browser that posts": Case(method="POST", fields=[HTML], status=401, challenge=BEARER, page=True),
    "a browser with a bad token": Case(fields=[HTML, bearer(FORGED)], status=401, challenge=INVALID_TOKEN, page=True),
    "a client that refuses HTML": Case(fields=[("Accept", b"text/html;q=0, */*")], status=401, challenge=BEARER),
    "HTMX": Case(fields=HTMX, status=401, challenge=BEARER),
}  # fmt: skip

#: The access token in a cookie, alone and beside other credentials.
COOKIES: dict[str, Case] = {
    "a cookie": Case(fields=[cookie(GOOD)], subject="somebody"),
    "a cookie sent twice": Case(fields=[cookie(GOOD), cookie(GOOD)], status=400, challenge=INVALID_REQUEST),
    "a cookie of another name": Case(fields=[("Cookie", f"sessions={GOOD}".encode())], status=401, challenge=BEARER),
    "a bad token beside a good cookie": Case(fields=[bearer(FORGED), cookie(GOOD)], status=401, challenge=INVALID_TOKEN),
    "a good token beside a good cookie": Case(fields=[bearer(GOOD), cookie(ADMIN)], subject="somebody"),
    "the token's scopes count, not the cookie's": Case(path="/admin", fields=[bearer(GOOD), cookie(ADMIN)], status=403, challenge=LACKS_SCOPE),
    "a good token beside a bad cookie": Case(fields=[bearer(GOOD), cookie(FORGED)], subject="somebody"),
    "a good token beside two cookies": Case(fields=[bearer(GOOD), cookie(GOOD), cookie(GOOD)], subject="somebody"),
    "a good token beside a broken cookie": Case(fields=[bearer(GOOD), cookie("%%%")], subject="somebody"),
    "a good token posted beside a cookie": Case(method="POST", fields=[bearer(GOOD), cookie(GOOD), CROSS], subject="somebody"),
    "a good key beside a good cookie": Case(fields=[api_key(KEY), cookie(ADMIN)], subject="robot"),
    "a good key beside two cookies": Case(fields=[api_key(KEY), cookie(GOOD), cookie(GOOD)], subject="robot"),
    "a bad key beside a good cookie": Case(fields=[api_key("bad"), cookie(GOOD)], status=401, challenge=INVALID_TOKEN),
    "an empty key beside a good cookie": Case(fields=[api_key(""), cookie(GOOD)], status=401, challenge=INVALID_TOKEN),
    "an expired token beside a good cookie": Case(fields=[bearer(EXPIRED), cookie(GOOD)], status=401, challenge=INVALID_TOKEN),
    "no token after Bearer, beside a cookie": Case(fields=[bearer("", "Bearer"), cookie(GOOD)], status=400, challenge=INVALID_REQUEST),
    "a browser with a bad key and a cookie": Case(fields=[HTML, api_key("bad"), cookie(GOOD)], status=401, challenge=INVALID_TOKEN, page=True),
    "a browser with a bad token and a cookie": Case(fields=[HTML, bearer(FORGED), cookie(GOOD)], status=401, challenge=INVALID_TOKEN, page=True),
    "an optional page, a bad token and a cookie": Case(path="/lenient", fields=[bearer(FORGED), cookie(GOOD)]),
    "a public page, a bad key and a cookie": Case(path="/public", fields=[api_key("bad"), cookie(GOOD)]),
    "Basic beside a cookie": Case(fields=[bearer("eDp5", "Basic "), cookie(GOOD)], subject="somebody"),
    "an empty Authorization field beside a cookie": Case(fields=[bearer("", ""), cookie(GOOD)], subject="somebody"),
    "a cookie, posted by this site": Case(method="POST", fields=[cookie(GOOD), SAME], subject="somebody"),
    "a cookie, posted by this origin": Case(method="POST", fields=[cookie(GOOD), OWN_ORIGIN], subject="somebody"),
    "a cookie, posted by another site": Case(method="POST", fields=[cookie(GOOD), CROSS], status=403),
    "a cookie, posted by a sibling": Case(method="POST", fields=[cookie(GOOD), SIBLING, OWN_ORIGIN], status=403),
    "a cookie, posted by Origin null": Case(method="POST", fields=[cookie(GOOD), ("Origin", b"null")], status=403),
    "a cookie, posted by an unknown site": Case(method="POST", fields=[cookie(GOOD)], status=403),
    "a cookie, with Basic beside it": Case(method="POST", fields=[cookie(GOOD), bearer("x", "Basic "), CROSS], status=403),
    "a token, posted by another site": Case(method="POST", fields=[bearer(GOOD), CROSS], subject="somebody"),
    "signing in from another site": Case(method="POST", path="/login", fields=[CROSS], status=403),
}  # fmt: skip

#: Pages and problem documents.
PAGES: dict[str, Case] = {
    "a form of a browser": Case(method="POST", fields=[NAVIGATES, SAME], status=401, challenge=BEARER, page=True),
    "a form of another site": Case(method="POST", fields=[NAVIGATES, CROSS, cookie(GOOD)], status=403, page=True),
    "a browser with two cookies": Case(fields=[NAVIGATES, cookie(GOOD), cookie(GOOD)], status=400, challenge=INVALID_REQUEST, page=True),
    "a browser with HEAD that lacks a scope": Case(method="HEAD", path="/admin", fields=[NAVIGATES, cookie(GOOD)], status=403, challenge=LACKS_SCOPE, page=True),
    "a script in a browser": Case(path="/admin", fields=[("Sec-Fetch-Mode", b"cors"), HTML, cookie(GOOD)], status=403, challenge=LACKS_SCOPE),
    "a program that prefers JSON": Case(fields=[("Accept", b"application/json, text/html;q=0.5")], status=401, challenge=BEARER),
    "a program that accepts both": Case(fields=[("Accept", b"application/json, text/html")], status=401, challenge=BEARER),
    "a program that accepts anything": Case(path="/admin", fields=[("Accept", b"*/*"), bearer(GOOD)], status=403, challenge=LACKS_SCOPE),
    "HTMX that lacks a scope": Case(path="/admin", fields=[*HTMX, HTML, cookie(GOOD)], status=403, challenge=LACKS_SCOPE),
}  # fmt: skip

#: Rules that accept some kinds of credential.
KINDS: dict[str, Case] = {
    "a key where keys are accepted": Case(path="/hooks", fields=[api_key(KEY)], subject="robot"),
    "a key as Bearer where keys are accepted": Case(path="/hooks", fields=[bearer(KEY)], subject="robot"),
    "a token where keys are accepted": Case(path="/hooks", fields=[bearer(GOOD)], status=401, challenge=BEARER),
    "a token where keys are accepted, twice": Case(path="/hooks", fields=[bearer(GOOD)], status=401, challenge=BEARER),
    "a bad token where keys are accepted": Case(path="/hooks", fields=[bearer(FORGED)], status=401, challenge=INVALID_TOKEN),
    "a cookie where keys are accepted": Case(path="/hooks", fields=[cookie(GOOD)], status=401, challenge=BEARER),
    "a key beside a cookie where keys are accepted": Case(path="/hooks", fields=[api_key(KEY), cookie(GOOD)], subject="robot"),
    "no credential where keys are accepted": Case(path="/hooks", status=401, challenge=BEARER),
    "a browser where keys are accepted": Case(path="/hooks", fields=[HTML, cookie(GOOD)], status=401, challenge=BEARER, page=True),
    "a cookie where the cookie is accepted": Case(path="/form", fields=[cookie(GOOD)], subject="somebody"),
    "a token where the cookie is accepted": Case(path="/form", fields=[bearer(GOOD)], status=401, challenge=BEARER),
    "a browser where the cookie is accepted": Case(path="/form", fields=[HTML], status=303, location="/login?next=%2Fform"),
    "a cookie where the cookie is accepted, on an odd path": Case(path="/hooks/../form", fields=[cookie(GOOD)], status=401, challenge=BEARER),
}  # fmt: skip

#: Rules with scopes, and without a redirect to the login page.
CHALLENGES: dict[str, Case] = {
    "no credential where a scope is needed": Case(path="/admin", status=401, challenge=f'{BEARER}, scope="admin"'),
    "a bad token where a scope is needed": Case(path="/api", fields=[bearer(FORGED)], status=401, challenge=INVALID_TOKEN),
    "a browser on a page without a redirect": Case(path="/api/x", fields=[HTML], status=401, challenge=f'{BEARER}, scope="read"', page=True),
    "a stale cookie on a page without a redirect": Case(path="/api", fields=[HTML, cookie(EXPIRED)], status=401, challenge=INVALID_TOKEN, page=True),
    "HTMX on a page without a redirect": Case(path="/api", fields=HTMX, status=401, challenge=f'{BEARER}, scope="read"'),
}  # fmt: skip

#: Places that the guard does not read.
ELSEWHERE: dict[str, Case] = {
    "a token in the query": Case(path=f"/private?access_token={GOOD}", status=401, challenge=BEARER),
    "a token for a proxy": Case(fields=[("Proxy-Authorization", f"Bearer {GOOD}".encode())], status=401, challenge=BEARER),
    "a token in another field": Case(fields=[("X-Auth-Token", GOOD.encode())], status=401, challenge=BEARER),
    "the query does not matter": Case(path="/private?/public", status=401, challenge=BEARER),
    "a field that names another path": Case(fields=[("X-Original-URL", b"/public"), ("X-Middleware-Subrequest", b"1")], status=401, challenge=BEARER),
}  # fmt: skip

#: All sections. Each sentence occurs only in one of them.
SECTIONS = (
    PATHS,
    AUTHORIZATION,
    SEVERAL,
    INVALID,
    SCOPES,
    SIGN_INS,
    KEYS,
    OPTIONAL,
    PREFLIGHTS,
    BROWSERS,
    COOKIES,
    PAGES,
    KINDS,
    CHALLENGES,
    ELSEWHERE,
)
CASES = {name: case for section in SECTIONS for name, case in section.items()}
