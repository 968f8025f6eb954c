"""Faults of the domain and of what signs and carries the mail: SPF, DKIM, DMARC, DNS, TLS.

A long list and nothing else: each fault is a few lines, and has to be read beside its neighbours.
"""

import re
from ipaddress import ip_address
from random import Random

from delivcheck.facts.roots import Envelope, Session
from tests.keys import record
from tests.quality.faults import fault
from tests.quality.mail import Mail
from tests.quality.world import EHLO, IP, SELECTOR, SENDER

KEY = f"{SELECTOR}._domainkey.{SENDER} TXT"
SPF, DMARC = f"{SENDER} TXT", f"_dmarc.{SENDER} TXT"
OTHER = "mailer-esp.com"


# --- SPF -----------------------------------------------------------------------------------------------------------


@fault("spf/no-record", base="domain", times=1)
def domain_without_spf(mail: Mail, r: Random) -> None:
    mail.zone[SPF] = "google-site-verification=abc"


@fault("spf/no-record", times=2)
def envelope_domain_without_spf(mail: Mail, r: Random) -> None:
    mail.zone[f"bounce.{SENDER} MX"] = f"10 mx.{SENDER}."
    mail.envelope = Envelope(f"b-{r.randrange(999)}@bounce.{SENDER}", mail.envelope.rcpt_to)


@fault("spf/several-records", base="domain")
def second_esp_second_record(mail: Mail, r: Random) -> None:
    mail.zone[SPF] = [mail.zone[SPF], f"v=spf1 include:spf{r.randrange(9)}.{OTHER} ~all"]


@fault("spf/syntax-error", base="domain", times=5)
def spf_typo(mail: Mail, r: Random) -> None:
    typo = (
        "ip4:192.0.2.0/33",
        "ip4:192.0.2.25.1",
        "include=spf.shop.com",
        "ip:192.0.2.25",
        "a:",
        "-al",
        "include:",
        "ip6:192.0.2.25",
        "include spf.shop.com",
    )
    mail.zone[SPF] = f"v=spf1 ip4:{IP} {r.choice(typo)} -all"


@fault("spf/passes-everyone", base="domain")
def spf_plus_all(mail: Mail, r: Random) -> None:
    mail.zone[SPF] = f"v=spf1 ip4:{IP} {r.choice(('+all', 'all', 'ip4:0.0.0.0/0 -all'))}"


@fault("spf/ends-neutral", base="domain")
def spf_without_an_end(mail: Mail, r: Random) -> None:
    mail.zone[SPF] = f"v=spf1 ip4:{IP} {r.choice(('?all', ''))}".strip()


@fault("spf/too-many-lookups", base="domain")
def eleven_includes(mail: Mail, r: Random) -> None:
    count = r.randrange(11, 16)
    mail.zone[SPF] = f"v=spf1 ip4:{IP} {' '.join(f'include:s{n}.{OTHER}' for n in range(count))} -all"
    mail.zone |= {f"s{n}.{OTHER} TXT": f"v=spf1 ip4:198.51.100.{n} -all" for n in range(count)}


@fault("spf/broken-include", base="domain", times=3)
def esp_has_no_record_there(mail: Mail, r: Random) -> None:
    mail.zone[SPF] = f"v=spf1 ip4:{IP} {r.choice(('include:', 'redirect='))}_spf{r.randrange(9)}.{OTHER}"
    mail.zone[f"www.{OTHER} A"] = "198.51.100.1"


@fault("spf/void-lookups", base="domain")
def servers_long_gone(mail: Mail, r: Random) -> None:
    mail.zone[SPF] = f"v=spf1 ip4:{IP} {' '.join(f'a:old{n}.{SENDER}' for n in range(r.randrange(3, 6)))} -all"


@fault("spf/ptr", base="domain")
def spf_with_ptr(mail: Mail, r: Random) -> None:
    mail.zone[SPF] = f"v=spf1 ip4:{IP} ptr{r.choice(('', f':{SENDER}'))} -all"


@fault("spf/private-range", base="domain")
def office_network_in_spf(mail: Mail, r: Random) -> None:
    mail.zone[SPF] = f"v=spf1 ip4:{IP} ip4:{r.choice(('192.168.1.0/24', '10.0.0.5', '172.16.0.0/12', '127.0.0.1'))} -all"


@fault("spf/wide-range", "spf/passes-everyone", base="domain")  # from one address in 128 on, it is as good as everyone
def half_the_internet(mail: Mail, r: Random) -> None:
    mail.zone[SPF] = f"v=spf1 ip4:{IP} ip4:{r.choice(('52.0.0.0/8', '40.0.0.0/6', '104.0.0.0/7'))} -all"


@fault("spf/terms-after-all", base="domain")
def added_at_the_end(mail: Mail, r: Random) -> None:
    mail.zone[SPF] = f"v=spf1 ip4:{IP} {r.choice(('~all', '-all'))} ip4:198.51.100.{r.randrange(255)}"


@fault("spf/malformed-txt", base="domain", times=4)
def spf_spoilt_by_a_web_form(mail: Mail, r: Random) -> None:
    mail.zone[SPF] = r.choice(
        (
            [[f"v=spf1 ip4:{IP}", "ip4:198.51.100.1 -all"]],
            f'"v=spf1 ip4:{IP} -all"',
            f"“v=spf1 ip4:{IP} -all”",
            f" v=spf1 ip4:{IP} -all",
            f"v=spf1 ip4:{IP}\u00a0-all",
        )
    )


@fault("spf/mx-too-many-addresses", base="domain", times=1)
def many_mail_exchangers(mail: Mail, r: Random) -> None:
    mail.zone[SPF] = f"v=spf1 ip4:{IP} mx -all"
    mail.zone[f"{SENDER} MX"] = [f"10 mx{n}.{SENDER}." for n in range(12)]
    mail.zone |= {f"mx{n}.{SENDER} A": f"192.0.2.{100 + n}" for n in range(12)}


@fault("spf/near-limit", base="domain", times=1)
def nine_lookups(mail: Mail, r: Random) -> None:
    mail.zone[SPF] = f"v=spf1 ip4:{IP} {' '.join(f'include:s{n}.{OTHER}' for n in range(9))} -all"
    mail.zone |= {f"s{n}.{OTHER} TXT": f"v=spf1 ip4:198.51.100.{n} -all" for n in range(9)}


@fault("spf/answer-too-large", base="domain", times=1)
def a_hundred_addresses(mail: Mail, r: Random) -> None:
    mail.zone[SPF] = f"v=spf1 ip4:{IP} {' '.join(f'ip4:198.51.100.{n}' for n in range(60))} -all"


@fault("spf/sends-nothing", times=1)
def parked_domain_sends(mail: Mail, r: Random) -> None:
    mail.zone[SPF] = "v=spf1 -all"


@fault("spf/not-authorised", times=4)
def sent_from_a_new_server(mail: Mail, r: Random) -> None:
    new = f"203.0.113.{r.randrange(1, 255)}"
    mail.session = Session(ip_address(new), EHLO, tls="TLSv1.3")
    mail.zone |= {f"{'.'.join(reversed(new.split('.')))}.in-addr.arpa PTR": f"{EHLO}.", f"{EHLO} A": [IP, new]}


@fault("spf/undetermined", base="domain")
def name_server_of_the_include_is_down(mail: Mail, r: Random) -> None:
    mail.zone[SPF] = f"v=spf1 include:_spf.{OTHER} -all"
    mail.zone[f"_spf.{OTHER} TXT"] = r.choice(("SERVFAIL", "BOGUS"))


# --- DKIM ----------------------------------------------------------------------------------------------------------


@fault("dkim/does-not-verify", times=6)
def changed_after_signing(mail: Mail, r: Random) -> None:
    changes = (
        lambda data: data.replace(b"Subject: ", b"Subject: [EXT] ", 1),
        lambda data: data.replace(b"\r\nTo: Pat Sample", b"\r\nTo: =?utf-8?q?Pat?= Sample", 1),
        lambda data: data.rstrip(b"\r\n") + b"\r\nThis mail was scanned for viruses.\r\n",
        lambda data: data.replace(b"MIME-Version: 1.0", b"Mime-Version: 1.0 (relay)", 1),
        lambda data: data.replace(b"text/html", b"text/html; x-relay=1", 1),
        lambda data: re.sub(rb"Message-ID: <", b"Message-ID: <relay.", data, count=1),
    )
    mail.afterwards = [changes[r.randrange(len(changes))]]


@fault("dkim/does-not-verify")
def key_was_rotated(mail: Mail, r: Random) -> None:
    mail.zone[KEY] = record("rsa2048-other")


@fault("dkim/no-key", times=3)
def key_was_never_published(mail: Mail, r: Random) -> None:
    del mail.zone[KEY]
    mail.sign = [{**mail.sign[0], "publish": False}]


@fault("dkim/revoked")
def key_was_revoked(mail: Mail, r: Random) -> None:
    mail.zone[KEY] = r.choice(("v=DKIM1; k=rsa; p=", "p=", "v=DKIM1; p=;"))


@fault("dkim/malformed-key", times=5)
def key_spoilt_by_a_web_form(mail: Mail, r: Random) -> None:
    good = record("rsa2048")
    mail.zone[KEY] = r.choice(
        (
            good[:255],
            good.replace(";", "\\;"),
            good.replace("p=", "p"),
            good[:200] + "%" + good[200:],
            good.replace("p=", "p=-----BEGIN PUBLIC KEY-----"),
        )
    )


@fault("dkim/several-keys")
def old_key_left_beside_the_new(mail: Mail, r: Random) -> None:
    mail.zone[KEY] = [record("rsa2048"), record("rsa2048-other")]


@fault("dkim/key-below-2048", times=1)
def key_of_1024_bits(mail: Mail, r: Random) -> None:
    mail.sign = [{**mail.sign[0], "key": "rsa1024"}]
    mail.zone[KEY] = record("rsa1024")


@fault("dkim/key-too-short")
def key_of_the_nineties(mail: Mail, r: Random) -> None:
    name = r.choice(("rsa512", "rsa768"))
    mail.sign = [{**mail.sign[0], "key": name}]
    mail.zone[KEY] = record(name)


@fault("dkim/rsa-sha1")
def signed_with_sha1(mail: Mail, r: Random) -> None:
    mail.sign = [{**mail.sign[0], "algorithm": "rsa-sha1"}]


@fault("dkim/body-length-tag")
def signed_with_length(mail: Mail, r: Random) -> None:
    mail.sign = [{**mail.sign[0], "tags": {"l": str(r.randrange(0, 400))}}]


@fault("dkim/no-signature", times=3)
def sent_past_the_signer(mail: Mail, r: Random) -> None:
    mail.sign = []


@fault("dkim/not-aligned", "dkim/foreign-domain", times=3)
def signed_by_the_esp_alone(mail: Mail, r: Random) -> None:
    domain = r.choice((OTHER, "sendfast.net", "smtp-relay.org"))
    mail.sign = [{**mail.sign[0], "domain": domain}]


@fault("dkim/expired", times=3)
def signature_out_of_time(mail: Mail, r: Random) -> None:
    mail.sign = [{**mail.sign[0], "tags": r.choice(({"t": "1795348800", "x": "1795352400"}, {"t": "1895435200"}))}]


@fault("dkim/from-not-signed", times=1)
def from_left_out(mail: Mail, r: Random) -> None:
    mail.sign = [{**mail.sign[0], "headers": ["to", "subject", "date", "message-id"]}]


@fault("dkim/headers-unsigned")
def only_from_signed(mail: Mail, r: Random) -> None:
    mail.sign = [{**mail.sign[0], "headers": r.choice((["from"], ["from", "date"], ["from", "to"]))}]


@fault("dkim/only-ed25519", times=1)
def modern_key_alone(mail: Mail, r: Random) -> None:
    mail.sign = [{**mail.sign[0], "algorithm": "ed25519-sha256"}]
    mail.zone[KEY] = record("ed25519")


@fault("dkim/test-mode", times=1)
def still_testing(mail: Mail, r: Random) -> None:
    mail.zone[KEY] = record("rsa2048").replace("k=rsa", "k=rsa; t=y")


@fault("dkim/simple-headers", times=1)
def simple_canonicalization(mail: Mail, r: Random) -> None:
    mail.sign = [{**mail.sign[0], "canonicalization": "simple/simple"}]


@fault("dkim/volatile-headers-signed", times=1)
def signs_received(mail: Mail, r: Random) -> None:
    mail.sign = [{**mail.sign[0], "headers": ["from", "to", "subject", "date", "message-id", "received", "return-path"]}]


@fault("dkim/some-fail")
def old_signature_beside(mail: Mail, r: Random) -> None:
    mail.sign = [mail.sign[0], {"domain": SENDER, "selector": f"old{r.randrange(9)}", "publish": False}]


@fault("dkim/key-forbids-signature", times=3)
def key_for_other_things(mail: Mail, r: Random) -> None:
    mail.zone[KEY] = record("rsa2048").replace("k=rsa", r.choice(("k=rsa; h=sha1", "k=rsa; s=tlsrpt", "k=ed25519")))


@fault("dkim/malformed-signature", times=4)
def signer_writes_nonsense(mail: Mail, r: Random) -> None:
    mail.sign = [
        {
            **mail.sign[0],
            "tags": r.choice(({"bh": False}, {"v": "2"}, {"d": False}, {"h": False}, {"c": "loose/relaxed"}, {"v": False})),
        }
    ]


@fault("dkim/unauthenticated", times=1)
def neither_spf_nor_dkim(mail: Mail, r: Random) -> None:
    mail.sign = []
    mail.zone[SPF] = "v=spf1 ip4:198.51.100.9 ~all"


@fault("dkim/not-oversigned", times=1)
def signed_once(mail: Mail, r: Random) -> None:
    mail.sign = [{**mail.sign[0], "headers": ["from", "to", "subject", "date", "message-id", "mime-version", "content-type"]}]


# --- DMARC ---------------------------------------------------------------------------------------------------------


@fault("dmarc/no-record", times=2)
def no_dmarc(mail: Mail, r: Random) -> None:
    del mail.zone[DMARC]


@fault("dmarc/no-policy", base="domain")
def dmarc_without_p(mail: Mail, r: Random) -> None:
    mail.zone[DMARC] = r.choice((f"v=DMARC1; rua=mailto:dmarc@{SENDER}", f"v=DMARC1; sp=none; rua=mailto:dmarc@{SENDER}"))


@fault("dmarc/invalid-tag", base="domain", times=4)
def dmarc_typo(mail: Mail, r: Random) -> None:
    typo = ("p=nonne", "p=block", "p=reject; adkim=relaxed", "p=reject; sp=deny", "p=reject; aspf=1", "p=monitor")
    mail.zone[DMARC] = f"v=DMARC1; {r.choice(typo)}; rua=mailto:dmarc@{SENDER}"


@fault("dmarc/several-records", base="domain")
def two_dmarc_records(mail: Mail, r: Random) -> None:
    mail.zone[DMARC] = [mail.zone[DMARC], f"v=DMARC1; p=none; rua=mailto:x{r.randrange(99)}@{SENDER}"]


@fault("dmarc/wrong-version", base="domain", times=4)
def dmarc_begins_wrongly(mail: Mail, r: Random) -> None:
    mail.zone[DMARC] = r.choice(
        ("v=DMARC; p=reject", "v=dmarc1; p=reject", "p=reject; v=DMARC1", '"v=DMARC1; p=reject"', "DMARC1; p=none")
    )


@fault("dmarc/misplaced-record", base="domain")
def dmarc_in_the_wrong_place(mail: Mail, r: Random) -> None:
    del mail.zone[DMARC]
    if r.random() < 0.5:
        mail.zone[SPF] = [mail.zone[SPF], "v=DMARC1; p=reject"]
    else:
        mail.zone[f"_dmarc.{SENDER}.{SENDER} TXT"] = "v=DMARC1; p=reject"


@fault("dmarc/bad-report-uri", "dmarc/invalid-tag", base="domain", times=3)  # a semicolon between two addresses ends the tag
def report_address_without_scheme(mail: Mail, r: Random) -> None:
    mail.zone[DMARC] = (
        f"v=DMARC1; p=reject; rua={r.choice((f'dmarc@{SENDER}', 'mailto:dmarc', f'mailto:a@{SENDER};mailto:b@{SENDER}', f'mail:dmarc@{SENDER}'))}"
    )


@fault("dmarc/external-reports-not-authorised", base="domain")
def reports_to_a_service_that_does_not_know(mail: Mail, r: Random) -> None:
    mail.zone[DMARC] = f"v=DMARC1; p=reject; rua=mailto:x{r.randrange(99)}@reports.{OTHER}"
    mail.zone[f"reports.{OTHER} MX"] = f"10 mx.{OTHER}."
    mail.zone[f"mx.{OTHER} A"] = "198.51.100.7"


@fault("dmarc/report-mailbox-unreachable", base="domain")
def reports_to_nowhere(mail: Mail, r: Random) -> None:
    mail.zone[DMARC] = f"v=DMARC1; p=reject; rua=mailto:dmarc@reports.{SENDER}"
    mail.zone[f"reports.{SENDER} MX"] = r.choice(("0 .", f"10 gone.{SENDER}."))


@fault("dmarc/monitoring-only", base="domain", times=1)
def policy_none(mail: Mail, r: Random) -> None:
    mail.zone[DMARC] = f"v=DMARC1; p=none; rua=mailto:dmarc@{SENDER}"


@fault("dmarc/no-reports", base="domain", times=1)
def no_rua(mail: Mail, r: Random) -> None:
    mail.zone[DMARC] = "v=DMARC1; p=reject"


@fault("dmarc/weakened", base="domain")
def policy_for_some(mail: Mail, r: Random) -> None:
    mail.zone[DMARC] = f"v=DMARC1; p=reject; {r.choice(('t=y', 'pct=10', 'pct=0'))}; rua=mailto:dmarc@{SENDER}"


@fault("dmarc/subdomain-weaker", base="domain", times=1)
def subdomains_free(mail: Mail, r: Random) -> None:
    mail.zone[DMARC] = f"v=DMARC1; p=reject; sp=none; rua=mailto:dmarc@{SENDER}"


@fault("dmarc/removed-tags", base="domain", times=1)
def old_tags(mail: Mail, r: Random) -> None:
    mail.zone[DMARC] = f"v=DMARC1; p=reject; {r.choice(('ri=3600', 'rf=afrf'))}; rua=mailto:dmarc@{SENDER}"


@fault("dmarc/psd-on-ordinary-domain", base="domain", times=1)
def psd_yes(mail: Mail, r: Random) -> None:
    mail.zone[DMARC] = f"v=DMARC1; p=reject; psd=y; rua=mailto:dmarc@{SENDER}"


@fault("dmarc/mailbox-provider-from", times=3)
def from_the_shopkeepers_mailbox(mail: Mail, r: Random) -> None:
    mail.set(
        "From", f"Corner Coffee <corner.coffee@{r.choice(('gmail.com', 'yahoo.com', 'outlook.com', 'gmx.de', 'hotmail.com'))}>"
    )


@fault("dmarc/not-aligned", times=4)
def esp_with_its_own_names(mail: Mail, r: Random) -> None:
    domain = r.choice((OTHER, "sendfast.net", "smtp-relay.org"))
    mail.sign = [{**mail.sign[0], "domain": domain}]
    mail.envelope = Envelope(f"bounce+{r.randrange(999)}@{domain}", mail.envelope.rcpt_to)
    mail.zone |= {f"{domain} TXT": f"v=spf1 ip4:{IP} -all", f"{domain} MX": f"10 mx.{SENDER}."}


@fault("dmarc/only-one-aligned", base="newsletter")
def envelope_of_the_esp(mail: Mail, r: Random) -> None:
    mail.envelope = Envelope(f"bounce+{r.randrange(999)}@{OTHER}", mail.envelope.rcpt_to)
    mail.zone |= {f"{OTHER} TXT": f"v=spf1 ip4:{IP} -all", f"{OTHER} MX": f"10 mx.{SENDER}."}


@fault("dmarc/strict-breaks-alignment", times=1)
def strict_and_a_bounce_domain(mail: Mail, r: Random) -> None:
    mail.zone[DMARC] = f"v=DMARC1; p=reject; aspf=s; rua=mailto:dmarc@{SENDER}"
    mail.zone |= {f"bounce.{SENDER} TXT": f"v=spf1 ip4:{IP} -all", f"bounce.{SENDER} MX": f"10 mx.{SENDER}."}
    mail.envelope = Envelope(f"b@bounce.{SENDER}", mail.envelope.rcpt_to)


@fault("dmarc/reject-on-spf-alone", times=1)
def reject_without_dkim(mail: Mail, r: Random) -> None:
    mail.sign = []


# --- DNS -----------------------------------------------------------------------------------------------------------

PTR = "25.2.0.192.in-addr.arpa PTR"


@fault("dns/no-ptr")
def no_reverse_name(mail: Mail, r: Random) -> None:
    del mail.zone[PTR]


@fault("dns/generic-ptr", times=4)
def name_given_by_number(mail: Mail, r: Random) -> None:
    name = r.choice(
        (
            "192-0-2-25.static.isp.net",
            "ip-192-0-2-25.eu-west.compute.cloudhost.com",
            "host25.2.0.192.dsl.isp.net",
            "static.25.2.0.192.clients.hoster.de",
        )
    )
    mail.zone |= {PTR: f"{name}.", f"{name} A": IP}


@fault("dns/ptr-not-confirmed")
def reverse_name_leads_elsewhere(mail: Mail, r: Random) -> None:
    mail.zone |= {PTR: f"old.{SENDER}.", f"old.{SENDER} A": f"203.0.113.{r.randrange(1, 255)}"}


@fault("dns/bad-ehlo", times=4)
def greets_with_no_name(mail: Mail, r: Random) -> None:
    mail.session = Session(
        ip_address(IP),
        r.choice(("localhost", "localhost.localdomain", "mail", "192.0.2.25", "app_server.local", "WIN-8F3K2")),
        tls="TLSv1.3",
    )


@fault("dns/names-disagree", times=1)
def greets_with_another_name(mail: Mail, r: Random) -> None:
    mail.session = Session(ip_address(IP), f"web.{SENDER}", tls="TLSv1.3")
    mail.zone[f"web.{SENDER} A"] = IP


@fault("dns/no-such-domain", times=3)
def from_domain_does_not_exist(mail: Mail, r: Random) -> None:
    domain = r.choice((f"mailing.{SENDER}", f"news2.{SENDER}"))
    mail.set("From", f"Corner Coffee <orders@{domain}>")


@fault("dns/null-mx")
def sends_and_takes_no_mail(mail: Mail, r: Random) -> None:
    mail.zone[f"{SENDER} MX"] = "0 ."


@fault("dns/bad-mx", base="domain", times=3)
def mx_to_nowhere(mail: Mail, r: Random) -> None:
    if r.random() < 0.5:
        mail.zone[f"{SENDER} MX"] = f"10 {r.choice((IP, 'gone.' + SENDER))}."
    else:
        mail.zone |= {f"{SENDER} MX": f"10 mail.{SENDER}.", f"mail.{SENDER} CNAME": f"mx.{SENDER}."}


@fault("dns/server-failure", times=2)
def dnssec_broken(mail: Mail, r: Random) -> None:
    mail.zone |= {f"{SENDER} {kind}": "BOGUS" for kind in ("MX", "A", "AAAA", "SOA", "TXT")}


@fault("dns/no-soa", base="domain", times=1)
def server_denies_soa(mail: Mail, r: Random) -> None:
    mail.zone[f"{SENDER} SOA"] = "NXDOMAIN"


# --- TLS -----------------------------------------------------------------------------------------------------------


@fault("tls/bad-mta-sts-record", base="domain")
def mta_sts_typo(mail: Mail, r: Random) -> None:
    mail.zone[f"_mta-sts.{SENDER} TXT"] = r.choice(("v=STSv1;", "v=STSv1; id=2026-11-23", "v=STSv1; id="))


@fault("tls/bad-tls-rpt-record", base="domain")
def tls_rpt_typo(mail: Mail, r: Random) -> None:
    mail.zone[f"_smtp._tls.{SENDER} TXT"] = r.choice(
        (f"v=TLSRPTv1; rua=tls@{SENDER}", "v=TLSRPTv1;", f"v=TLSRPTv1; ruf=mailto:tls@{SENDER}")
    )
