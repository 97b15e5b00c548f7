"""
    What is read of a certificate
"""

import datetime
import ssl

import pytest

from hypothesis import given, settings, strategies as st

from support.certificates import authority, certificate

from mails3.smtp.certificate import Certificate, read_pin

# =============================================================================
class TestCertificate:
    """ A certificate is read without being verified """

    def test_the_fields_are_those_of_the_certificate(self):
        """ Subject, issuer, hosts, dates and fingerprint are read as they were written """

        made = certificate("mail.shelter.net", "192.0.2.1", "2001:db8::25", by=authority(),
                           days=(-3, 40))

        read = Certificate.read(made.der)

        assert read.subject == "mail.shelter.net of Shelter"
        assert read.issuer == "Shelter CA of Shelter"
        assert read.names == ("mail.shelter.net", "192.0.2.1", "2001:db8::25")
        assert read.fingerprint == made.fingerprint
        assert not read.is_self_issued
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        assert (read.not_before - now).days == -4 and (read.not_after - now).days == 39

    def test_dates_after_2049_are_read(self):
        """ A date after 2049, which is written in another way, is read as well """

        read = Certificate.read(certificate("a.example.org", days=(-1, 36500)).der)

        assert read.not_after.year > 2100

    def test_a_name_in_any_script_is_read(self):
        """ A common name that is not ASCII is read """

        assert Certificate.read(certificate(name="Flüchtlingshilfe 難民").der).subject == \
               "Flüchtlingshilfe 難民 of Shelter"

    def test_a_name_does_not_steer_a_terminal(self):
        """ Control characters in a name are not kept, and a long name is cut """

        read = Certificate.read(certificate(name="a\x1b[2J" + "b" * 55).der)

        assert "\x1b" not in read.subject

    def test_a_certificate_is_its_own_authority_or_not(self):
        """ A self-signed certificate is said to be by itself """

        assert "by itself" in str(Certificate.read(certificate("a.example.org").der))

    def test_python_reads_the_same(self, tmp_path):
        """ The authorities that this machine trusts are read as Python reads them """

        context = ssl.create_default_context()
        pairs = list(zip(context.get_ca_certs(), context.get_ca_certs(binary_form=True)))
        if not pairs:
            pytest.skip("This machine trusts no authority")
        for known, der in pairs:
            read = Certificate.read(der)
            ends_at = ssl.cert_time_to_seconds(known["notAfter"])
            assert read.not_after.replace(tzinfo=datetime.timezone.utc).timestamp() == ends_at
            assert read.is_self_issued == (known["subject"] == known["issuer"])

    @settings(deadline=None)
    @given(st.binary(max_size=200))
    def test_no_bytes_raise_an_error(self, data):
        """ Of bytes that are no certificate, only the fingerprint is known """

        assert Certificate.read(data) == Certificate(Certificate.read(data).fingerprint)

    @settings(deadline=None)
    @given(st.integers(0, 400), st.binary(min_size=1, max_size=4))
    def test_a_damaged_certificate_raises_no_error(self, at, data):
        """ A certificate with some bytes of another kind raises no error """

        der = DER[:at] + data + DER[at + len(data):]

        assert str(Certificate.read(der))

DER = certificate("mail.shelter.net", by=authority()).der

# =============================================================================
class TestPin:
    """ A fingerprint is read as people have it """

    def test_a_pin_may_have_colons(self):
        """ A fingerprint with colons, without, in small letters and with blanks is the same """

        colons = certificate("a.example.org").fingerprint

        assert {read_pin(text) for text in (colons, colons.replace(":", ""), colons.lower(),
                                            " %s " % colons)} == {colons}

    @pytest.mark.parametrize("text", ["", "AB:CD", "sha1", "0" * 40, "g" * 64, "0" * 65])
    def test_what_is_no_sha256_is_no_pin(self, text):
        """ A fingerprint of another length, as that of SHA-1, is refused """

        with pytest.raises(ValueError):
            read_pin(text)

# END =========================================================================
