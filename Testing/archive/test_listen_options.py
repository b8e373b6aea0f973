"""Titles, addresses, TLS files and options of the listener."""

from __future__ import annotations

import pytest

from CovidCTLib.archive.nodes import Node, TlsFiles, check_port, check_title, parse_node, tls_context
from CovidCTLib.cli.main import main
from CovidCTLib.errors import InputError, OptionsError


@pytest.mark.parametrize("title", ["", "   ", "A" * 17, "A\\B", "ÄÖÜ"])
def test_titles_have_1_to_16_plain_characters(title):
    with pytest.raises(OptionsError, match="plain characters"):
        check_title(title)


def test_addresses_are_read():
    assert parse_node("ORTHANC@[::1]:4242") == Node("ORTHANC", "::1", 4242)
    with pytest.raises(OptionsError, match="TITLE@HOST:PORT"):
        parse_node("ORTHANC:4242")
    with pytest.raises(OptionsError, match="within 1 and 65535"):
        check_port(0)


def test_tls_needs_certificate_and_key_that_can_be_read(tmp_path):
    with pytest.raises(OptionsError, match="--tls-cert and --tls-key"):
        tls_context(TlsFiles(), server=True)
    (tmp_path / "no.pem").write_text("no certificate")
    with pytest.raises(InputError, match="PEM files"):
        tls_context(TlsFiles(tmp_path / "no.pem", tmp_path / "no.pem"), server=True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rest", "-1"], "--rest must be at least 0"),
        (["--max-images", "0"], "--max-images must be at least 1"),
        (["--title", "SEVENTEEN_LETTERS"], "1 to 16 plain characters"),
        (["--port", "70000"], "within 1 and 65535"),
        (["--tls-cert", "x.pem"], "--tls-cert and --tls-key"),
    ],
)
def test_wrong_options_of_listen_are_refused(tmp_path, words, said, capsys):
    assert main(["listen", str(tmp_path / "spool"), "--archive", "A@127.0.0.1:104", *words]) == 2
    assert said in capsys.readouterr().err
