from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.balancer import config
from opsconsole.balancer.pool import chosen, pool_of
from opsconsole.balancer.words import comment, host_word, identifier, listen_word, quoted
from opsconsole.errors import UsageError
from opsconsole.profile import DaemonSpec, Profile, Server
from tests.balancer.bed import pool, profile_of


def test_what_is_no_word_is_refused_and_never_written_in_part() -> None:
    for text in ("/etc/$host.pem", "a\nb", "a\x1b[31m", ""):
        with pytest.raises(UsageError):
            quoted(text, "--ca")
    assert quoted("/etc/ca.pem", "--ca") == "/etc/ca.pem"
    assert quoted('/my "ca"; \\x.pem', "--ca") == r'"/my \"ca\"; \\x.pem"'


@given(st.text())
def test_no_comment_ends_before_its_line_does(text: str) -> None:
    assert len(comment(text).splitlines()) <= 1
    assert "\n" not in comment(text)


@given(st.text())
def test_an_identifier_is_one(text: str) -> None:
    assert identifier(text).isascii()
    assert identifier(text).replace("_", "a").isalnum()


@given(st.text(alphabet='a1.:-[]{};$" \n#é'))
def test_a_host_that_is_none_is_refused(text: str) -> None:
    try:
        word = host_word(text, "s1")
    except UsageError:
        return
    assert not set(word) & set('{};$"\n #')


def test_hosts_and_addresses() -> None:
    assert host_word("::1", "s1") == "[::1]"
    assert host_word("bücher.example", "s1") == "xn--bcher-kva.example"
    # nginx would make two servers of its two addresses.
    assert host_word("localhost", "s1") == "127.0.0.1"
    assert listen_word("8080") == "8080"
    assert listen_word("[::1]:8080") == "[::1]:8080"
    assert listen_word("*:80") == "*:80"
    assert listen_word("unix:/run/x.sock") == "unix:/run/x.sock"
    for text in ("", ":80", "x", "0", "70000", "::1:80", "80;", "a b:80", "h:80 ssl"):
        with pytest.raises(UsageError):
            listen_word(text)


def test_servers_that_cannot_stand_behind_one_upstream_are_refused() -> None:
    for urls, what in (
        (("http://a:1", "https://b:1"), "scheme"),
        (("http://a:1/v1", "http://b:1"), "path"),
        (("http://a:1", "http://a:1"), "both a:1"),
        (("http://a:1/x;y",), "path"),
        (("http://a:1/$host",), "path"),
        (("unix:/run/a b.sock",), "socket's path"),
        (("unix:/run/a;b.sock",), "socket's path"),
        (("https://a.x:1", "https://b.x:1"), "different names"),
        (("https://10.0.0.1:1",), "by an address"),
    ):
        with pytest.raises(UsageError, match=what):
            pool(*urls)
    with pytest.raises(UsageError, match="itself listens"):
        pool("http://127.0.0.1:8080", listen="127.0.0.1:8080")
    for listen, url in (
        ("8080", "http://127.0.0.1:8080"),
        ("*:8080", "http://localhost:8080"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
    ):
        with pytest.raises(UsageError, match="itself listens on 127"):
            pool(url, listen=listen)
    pool("http://127.0.0.1:8081", "http://192.0.2.1:8080", "http://b:8080", listen="8080")
    pool("http://127.0.0.1:8080", listen="[::]:8080")
    same = profile_of("http://a:1", health="/balancer-health")
    with pytest.raises(UsageError, match="the route of nginx itself"):
        pool_of(same, same.servers)
    with pytest.raises(UsageError, match="no less than 1ms"):
        pool("http://a:1", read_timeout=1e-6)
    with pytest.raises(UsageError, match="whole seconds"):
        pool("http://a:1", fail_timeout=1.5)
    with pytest.raises(UsageError, match="there is no server 's3'"):
        chosen(profile_of("http://a:1", "http://b:1"), ["s3"])


def test_limits_come_from_the_daemons() -> None:
    env = {"OPSCONSOLE_MAX_BODY_BYTES": str(1 << 20), "OPSCONSOLE_MAX_REQUEST_SECONDS": "45"}
    servers = (
        Server(name="a", url="http://127.0.0.1:1", daemon=DaemonSpec(env=env), timeout=3.0),
        Server(name="b", url="http://127.0.0.1:2", daemon=DaemonSpec()),
    )
    made = pool_of(Profile(name="x", servers=servers), servers)
    assert made.body_limit == 1 << 20
    assert made.read_timeout == 600  # the other daemon's longest
    assert made.connect_timeout == 3.0
    assert "client_max_body_size 1m;" in config.block(made)
    assert pool("http://a:1").read_timeout == 120
