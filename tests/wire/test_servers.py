"""The guard behaves the same behind every server, and leaves requests and responses alone."""

import pytest

from wire.servers import KINDS, parse, read, request


def test_good_token_passes(server, bearer):
    """A good token is let through."""
    assert server.send("/admin", bearer).status == 200


def test_no_credential_is_refused(server):
    """Without a credential the answer is 401, with a challenge."""
    answer = server.send("/admin")
    assert (answer.status, answer.field("www-authenticate")) == (401, 'Bearer realm="api"')


def test_good_api_key_passes(server, environment):
    """A good API key is let through."""
    assert server.send("/admin", f"X-API-Key: {environment['WIRE_API_KEY']}").status == 200


def test_authorization_in_two_lines_is_refused(server, bearer):
    """Two Authorization lines are 400, be they kept apart or joined by the server."""
    assert server.send("/admin", bearer, bearer).status == 400


def test_api_key_in_two_lines_is_refused(server, environment):
    """Whether the server keeps two lines apart or joins them: 400, and not one of them."""
    line = f"X-API-Key: {environment['WIRE_API_KEY']}"
    assert server.send("/admin", line, line).status == 400
    assert server.send("/admin", "X-API-Key:", line).status == 400
    assert server.send("/admin", line, "X-API-Key:").status == 400


def test_empty_fields_are_the_same_behind_every_server(server, bearer):
    """An empty key is a bad key, and an empty Authorization field is none; two fields are two."""
    assert server.send("/admin", "X-API-Key:").status == 401
    assert server.send("/admin", "Authorization:").status == 401
    assert server.send("/admin", "Authorization:", bearer).status == 400
    assert server.send("/admin", bearer, "Authorization:").status == 400
    assert (
        server.send("/admin", "Authorization: Basic eDp5eg==", "Authorization: Basic eDp5eg==").status == 400
    )


@pytest.mark.parametrize("name", ["authorization", "AUTHORIZATION", "aUtHoRiZaTiOn"])
def test_field_name_in_any_case(server, bearer, name):
    """The case of the field's name does not matter."""
    assert server.send("/admin", bearer.replace("Authorization", name)).status == 200


def test_scheme_in_lower_case(server, bearer):
    """The case of the scheme does not matter."""
    assert server.send("/admin", bearer.replace("Bearer", "bearer")).status == 200


def test_two_spaces_after_the_scheme(server, bearer):
    """More than one space may follow the scheme."""
    assert server.send("/admin", bearer.replace("Bearer ", "Bearer  ")).status == 200


def test_api_key_that_is_not_ascii(server):
    """A key with other characters is just a wrong key."""
    assert server.send("/admin", "X-API-Key: sk_live_é").status == 401


def test_api_key_of_a_megabyte(server):
    """A huge key is refused by the guard or by the server (which may just close), and breaks nothing."""
    answer = server.send("/admin", "X-API-Key: " + "k" * 1_000_000)
    assert answer.status in (0, 400, 401, 431)
    assert server.send("/healthz").status == 200


def test_refusal_of_head(server):
    """HEAD gets the fields of GET, its content-length included, and no body."""
    got, head = server.send("/admin"), server.send("/admin", method="HEAD")
    assert (head.status, head.body) == (401, b"")
    assert head.field("content-length") == got.field("content-length") == str(len(got.body))


def test_response_streams(server, bearer):
    """The first chunk arrives while the application still waits to make the second."""
    with server.connect() as connection:
        connection.sendall(request("/stream", bearer))
        begun = read(connection, b"first")
        assert b"second" not in begun
        server.send("/public/release")
        assert b"second" in read(connection)


def test_iterable_is_closed(serve, bearer):
    """The server's close() reaches the iterable of the WSGI application."""
    gunicorn = serve("gunicorn")
    before = int(gunicorn.send("/public/closed").body)
    assert gunicorn.send("/closing", bearer).status == 200
    assert int(gunicorn.send("/public/closed").body) == before + 1


def test_upload_arrives_untouched(server, bearer):
    """The application reads the body as it was sent."""
    body = bytes(range(256)) * 1024
    answer = server.send("/upload", bearer, method="POST", body=body)
    assert (answer.status, answer.body) == (200, body)


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
    """Where the application is mounted does not change what is protected and what is public."""
    server = serve(kind, app, *options)
    sent = [(f"{prefix}/admin",), (f"{prefix}/admin", bearer), (f"{prefix}/public/page",)]
    assert [server.send(*arguments).status for arguments in sent] == [401, 200, 200]


@pytest.mark.parametrize("app", ["splitting", "splitting_weak"])
@pytest.mark.parametrize(
    "kind",
    [("hypercorn", "--root-path", "/x"), ("uvicorn-h11", "--root-path", "/x")],
    ids=lambda kind: kind[0],
)
def test_a_prefix_in_an_odd_place_leads_nowhere(serve, bearer, kind, app):
    """Where the application removes it wherever it is; only uvicorn adds it to the path of the request."""
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
    """A refusal leaves the connection fit for the next request."""
    with server.connect() as connection:
        connection.sendall(request("/admin", close=False))
        refused = parse(read(connection, b"}"))
        connection.sendall(request("/admin", bearer))
        passed = parse(read(connection))
    assert (refused.status, passed.status) == (401, 200)


@pytest.mark.parametrize("host", ["app", "evil.example", "evil.example/public/x?"])
@pytest.mark.parametrize("kind", KINDS)
def test_login_redirect_is_relative(serve, kind, host):
    """Where a browser is sent to sign in is a path on this site, whatever the Host field says."""
    answer = serve(kind, "login").send("/admin", "Accept: text/html", f"Host: {host}")
    if answer.status == 400 and host != "app":
        pytest.skip("the server itself refuses this Host")
    assert (answer.status, answer.field("location")) == (303, "/login?next=%2Fadmin")


def test_hostile_host_changes_no_decision(server):
    """A Host that looks like a public path opens nothing."""
    assert server.send("/admin", "Host: app/public/x?").status in (400, 401)


@pytest.mark.parametrize("length", [0, 10, 10_000])
def test_a_preflight_is_answered_without_its_body(server, length):
    """The body is not taken for a request of its own, and the connection goes on."""
    preflight = ["Origin: https://a.example", "Access-Control-Request-Method: GET"]
    smuggled = (b"GET /public/a HTTP/1.1\r\nHost: app\r\n\r\n" * length)[:length]
    first = request("/admin", *preflight, method="OPTIONS", body=smuggled, close=False)
    with server.connect() as connection:
        connection.sendall(first)
        answer = parse(read(connection, b"\r\n\r\n"))
        assert (answer.status, answer.body) == (204, b"")
        connection.sendall(request("/healthz"))
        assert parse(read(connection)).body == b"started"
