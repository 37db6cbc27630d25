"""The guard decides alike behind each server, and does not change requests and responses."""

import pytest

from wire.servers import KINDS, parse, read, request


def test_good_token_passes(server, bearer):
    """A valid token passes."""
    assert server.send("/admin", bearer).status == 200


def test_no_credential_is_refused(server):
    """A request without a credential is a 401 with a challenge."""
    answer = server.send("/admin")
    assert (answer.status, answer.field("www-authenticate")) == (401, 'Bearer realm="api"')


def test_good_api_key_passes(server, environment):
    """A valid API key passes."""
    assert server.send("/admin", f"X-API-Key: {environment['WIRE_API_KEY']}").status == 200


def test_authorization_in_two_lines_is_refused(server, bearer):
    """Two Authorization lines are a 400, whether the server joins them or not."""
    assert server.send("/admin", bearer, bearer).status == 400


def test_api_key_in_two_lines_is_refused(server, environment):
    """Two lines with an API key are a 400, whether the server joins them or not."""
    line = f"X-API-Key: {environment['WIRE_API_KEY']}"
    assert server.send("/admin", line, line).status == 400
    assert server.send("/admin", "X-API-Key:", line).status == 400
    assert server.send("/admin", line, "X-API-Key:").status == 400


def test_empty_fields_are_the_same_behind_every_server(server, bearer):
    """An empty key or Authorization field is a 401, and an empty field beside another one is a 400."""
    assert server.send("/admin", "X-API-Key:").status == 401
    assert server.send("/admin", "Authorization:").status == 401
    assert server.send("/admin", "Authorization:", bearer).status == 400
    assert server.send("/admin", bearer, "Authorization:").status == 400
    assert (
        server.send("/admin", "Authorization: Basic eDp5eg==", "Authorization: Basic eDp5eg==").status == 400
    )


@pytest.mark.parametrize("name", ["authorization", "AUTHORIZATION", "aUtHoRiZaTiOn"])
def test_field_name_in_any_case(server, bearer, name):
    """The name of the field may be in any case."""
    assert server.send("/admin", bearer.replace("Authorization", name)).status == 200


def test_scheme_in_lower_case(server, bearer):
    """The scheme may be in any case."""
    assert server.send("/admin", bearer.replace("Bearer", "bearer")).status == 200


def test_two_spaces_after_the_scheme(server, bearer):
    """More than one space may follow the scheme."""
    assert server.send("/admin", bearer.replace("Bearer ", "Bearer  ")).status == 200


def test_api_key_that_is_not_ascii(server):
    """An API key with other characters than ASCII is a 401."""
    assert server.send("/admin", "X-API-Key: sk_live_é").status == 401


def test_api_key_of_a_megabyte(server):
    """An API key of a megabyte is refused by the guard or the server, which then serves other requests."""
    answer = server.send("/admin", "X-API-Key: " + "k" * 1_000_000)
    assert answer.status in (0, 400, 401, 431)
    assert server.send("/healthz").status == 200


def test_refusal_of_head(server):
    """The refusal of HEAD has the fields of that of GET, with its content-length and without a body."""
    got, head = server.send("/admin"), server.send("/admin", method="HEAD")
    assert (head.status, head.body) == (401, b"")
    assert head.field("content-length") == got.field("content-length") == str(len(got.body))


def test_response_streams(server, bearer):
    """The first chunk of a response arrives before the application has sent the second."""
    with server.connect() as connection:
        connection.sendall(request("/stream", bearer))
        begun = read(connection, b"first")
        assert b"second" not in begun
        server.send("/public/release")
        assert b"second" in read(connection)


def test_iterable_is_closed(serve, bearer):
    """`close` of the iterable is called by the server."""
    gunicorn = serve("gunicorn")
    before = int(gunicorn.send("/public/closed").body)
    assert gunicorn.send("/closing", bearer).status == 200
    assert int(gunicorn.send("/public/closed").body) == before + 1


def test_upload_arrives_untouched(server, bearer):
    """The application reads the body as it was sent."""
    body = bytes(range(256)) * 1024
    answer = server.send("/upload", bearer, method="POST", body=body)
    assert (answer.status, answer.body) == (200, body)


@pytest.mark.slow
@pytest.mark.parametrize("app", ["strict", "weak"])
@pytest.mark.parametrize(
    ("kind", "prefix", "options"),
    [
        ("uvicorn-h11", "", ("--root-path", "/x")),
        ("gunicorn", "/x", ("--env", "SCRIPT_NAME=/x")),
    ],
    ids=["uvicorn-root-path", "gunicorn-script-name"],
)
def test_below_a_prefix(serve, bearer, kind, prefix, options, app):
    """The mount point of the application does not change the protected and public paths."""
    server = serve(kind, app, *options)
    sent = [(f"{prefix}/admin",), (f"{prefix}/admin", bearer), (f"{prefix}/public/page",)]
    assert [server.send(*arguments).status for arguments in sent] == [401, 200, 200]


@pytest.mark.slow
@pytest.mark.parametrize("app", ["splitting", "splitting_weak"])
@pytest.mark.parametrize(
    "kind",
    [("hypercorn", "--root-path", "/x"), ("uvicorn-h11", "--root-path", "/x")],
    ids=lambda kind: kind[0],
)
def test_a_prefix_in_an_odd_place_leads_nowhere(serve, bearer, kind, app):
    """No path with a misplaced mount point reaches a protected handler."""
    server = serve(kind[0], app, *kind[1:])
    targets = [
        "/admin",
        "/x/admin",
        "/public/x/admin",
        "/public/xadmin",
        "/X/admin",
        "/x/public/x/admin",
        "/x/x/admin",
    ]
    answers = [server.send(target) for target in targets]
    assert [answer.raw for answer in answers if b"SECRET" in answer.raw] == []
    assert b"SECRET" in server.send("/admin", bearer).body
    assert b"page" in server.send("/public/page").body


def test_connection_is_kept_after_a_refusal(server, bearer):
    """A connection can be used for the next request after a refusal."""
    with server.connect() as connection:
        connection.sendall(request("/admin", close=False))
        refused = parse(read(connection, b"}"))
        connection.sendall(request("/admin", bearer))
        passed = parse(read(connection))
    assert (refused.status, passed.status) == (401, 200)


@pytest.mark.parametrize("host", ["app", "evil.example", "evil.example/public/x?"])
@pytest.mark.parametrize("kind", KINDS)
def test_login_redirect_is_relative(serve, kind, host):
    """A login redirect is a path on this site for each Host field."""
    answer = serve(kind, "login").send("/admin", "Accept: text/html", f"Host: {host}")
    if answer.status == 400 and host != "app":
        pytest.skip("the server itself refuses this Host")
    assert (answer.status, answer.field("location")) == (303, "/login?next=%2Fadmin")


def test_hostile_host_changes_no_decision(server):
    """A Host field with a public path in it does not open a protected path."""
    assert server.send("/admin", "Host: app/public/x?").status in (400, 401)


@pytest.mark.parametrize("length", [0, 10, 10_000])
def test_a_preflight_is_answered_without_its_body(server, length):
    """A preflight is answered without a second request from its body, and the connection stays usable."""
    preflight = ["Origin: https://a.example", "Access-Control-Request-Method: GET"]
    smuggled = (b"GET /public/a HTTP/1.1\r\nHost: app\r\n\r\n" * length)[:length]
    first = request("/admin", *preflight, method="OPTIONS", body=smuggled, close=False)
    with server.connect() as connection:
        connection.sendall(first)
        answer = parse(read(connection, b"\r\n\r\n"))
        assert (answer.status, answer.body) == (204, b"")
        connection.sendall(request("/healthz"))
        assert parse(read(connection)).body == b"started"
