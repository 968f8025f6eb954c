"""Messages as receivers store them: what a sender hands over, with what Google, Microsoft, Yahoo, iCloud and GMX write on top."""

import asyncio
from datetime import UTC, datetime

from delivcheck import catalog, policy
from delivcheck.api import Checker, Options
from delivcheck.facts.roots import AsReceived, Origin
from delivcheck.model import TargetKind, TargetReport
from delivcheck.net.snapshot import from_mapping
from tests.keys import sign_example

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
IP = "192.0.2.25"
MESSAGE = (
    b"From: Example Shop <news@example.org>\r\n"
    b"To: anna@example.net\r\n"
    b"Subject: Your order\r\n"
    b"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\n"
    b"Message-ID: <1@example.org>\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: text/plain\r\n"
    b"\r\n"
    b"Thank you for your order.\r\n"
)


def signed(*specs, octets=MESSAGE):
    """The message signed by each spec ({"domain": …, "selector": …}), the last on top; and the zone with the keys."""
    zone = {}
    for spec in specs:
        octets, published = sign_example(octets, {"selector": "s1", **spec}, NOW)
        zone |= published
    return octets, zone


def google(octets, results="", *, ip=IP, ehlo="mail.example.org", mail_from="bounce@example.org", spf="pass", extra=""):
    """As "Show original" in Gmail gives it."""
    said = {"pass": "designates", "none": "does not designate"}.get(spf, "does not designate")
    results = (
        results or f"spf={spf} (google.com: domain of {mail_from} {said} {ip} as permitted sender) smtp.mailfrom={mail_from}"
    )
    return (
        "Delivered-To: anna@example.net\n"
        "Received: by 2002:a05:6a10:1234:b0:5c0:1234:abcd with SMTP id x12csp1234567pxy;\n"
        "        Mon, 23 Nov 2026 02:00:05 -0800 (PST)\n"
        "X-Received: by 2002:a17:90b:4c4f:b0:2ea:1234:abcd with SMTP id q15;\n"
        "        Mon, 23 Nov 2026 02:00:04 -0800 (PST)\n"
        "ARC-Seal: i=1; a=rsa-sha256; t=1795428004; cv=none;\n"
        "        d=google.com; s=arc-20240605;\n"
        "        b=AbCd\n"
        f"ARC-Authentication-Results: i=1; mx.google.com;\n       {results}\n"
        f"Return-Path: <{mail_from}>\n"
        f"Received: from {ehlo} ({ehlo}. [{ip}])\n"
        "        by mx.google.com with ESMTPS id d9443c01a7336\n"
        "        for <anna@example.net>\n"
        "        (version=TLS1_3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256);\n"
        "        Mon, 23 Nov 2026 02:00:04 -0800 (PST)\n"
        f"Received-SPF: {spf} (google.com: domain of {mail_from} {said} {ip} as permitted sender) client-ip={ip};\n"
        f"Authentication-Results: mx.google.com;\n       {results}\n"
        f"{extra}"
    ).replace("\n", "\r\n").encode() + octets


def microsoft(octets, results="", *, ip=IP, ehlo="mail.example.org", mail_from="bounce@example.org", spf="Pass"):
    """As Outlook on the web gives it: three hops inside, results without an authserv-id, the border below them."""
    domain = mail_from.rpartition("@")[2]
    results = (
        results
        or f"spf={spf.lower()} (sender IP is {ip})\n smtp.mailfrom={domain}; dkim=none (message not signed)\n header.d=none"
    )
    return (
        "Received: from PH7PR12MB1234.namprd12.prod.outlook.com (2603:10b6:510:2b2::10)\n"
        " by DM4PR12MB5678.namprd12.prod.outlook.com with HTTPS; Mon, 23 Nov 2026 10:00:06\n +0000\n"
        "Received: from BN9PR03CA0123.namprd03.prod.outlook.com (2603:10b6:408:fe::8)\n"
        " by PH7PR12MB1234.namprd12.prod.outlook.com (2603:10b6:510:2b2::10) with\n"
        " Microsoft SMTP Server (version=TLS1_2,\n cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id 15.20.8158.24; Mon, 23 Nov\n 2026 10:00:04 +0000\n"
        "Received: from BN8NAM12FT012.eop-nam12.prod.protection.outlook.com\n"
        " (2603:10b6:408:fe:cafe::f7) by BN9PR03CA0123.outlook.office365.com\n"
        " (2603:10b6:408:fe::8) with Microsoft SMTP Server (version=TLS1_3,\n cipher=TLS_AES_256_GCM_SHA384) id 15.20.8182.11 via Frontend Transport; Mon,\n 23 Nov 2026 10:00:04 +0000\n"
        f"Authentication-Results: {results}\n"
        f"Received-SPF: {spf} (protection.outlook.com: domain of {domain} designates\n"
        f" {ip} as permitted sender) receiver=protection.outlook.com;\n client-ip={ip}; helo={ehlo}; pr=C\n"
        f"Received: from {ehlo} ({ip}) by\n"
        " BN8NAM12FT012.mail.protection.outlook.com (10.13.182.170) with Microsoft SMTP\n"
        " Server (version=TLS1_2, cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id\n"
        " 15.20.8182.13 via Frontend Transport; Mon, 23 Nov 2026 10:00:03 +0000\n"
        f"Return-Path: {mail_from}\n"
        "X-MS-Exchange-Organization-SCL: 1\n"
    ).replace("\n", "\r\n").encode() + octets


def yahoo(octets, results="", *, ip=IP, ehlo="mail.example.org", mail_from="bounce@example.org"):
    """As "View raw message" in Yahoo Mail gives it."""
    domain = mail_from.rpartition("@")[2]
    results = results or f"spf=pass smtp.mailfrom={domain};\n dmarc=pass(p=REJECT) header.from=example.org;"
    return (
        "Received: from 10.197.38.100\n"
        " by atlas-production.v2-mail-prod1-gq1.omega.yahoo.com pod-id atlas--production-gq1-5d8; Mon, 23 Nov 2026 10:00:04 +0000\n"
        f"X-Originating-Ip: [{ip}]\n"
        f"Received-SPF: pass (domain of {domain} designates {ip} as permitted sender)\n"
        f"Authentication-Results: atlas-production.v2-mail-prod1-gq1.omega.yahoo.com;\n {results}\n"
        f"Return-Path: <{mail_from}>\n"
        f"Received: from {ip} (EHLO {ehlo})\n"
        " by 10.197.38.100 with SMTPs\n"
        " (version=TLS1_3 cipher=TLS_AES_128_GCM_SHA256);\n"
        " Mon, 23 Nov 2026 10:00:03 +0000\n"
    ).replace("\n", "\r\n").encode() + octets


def icloud(octets, results=(), *, ip=IP, ehlo="mail.example.org", mail_from="bounce@example.org"):
    """As iCloud stores it: one field and one name for each method."""
    results = results or (
        "dmarc.icloud.com; dmarc=pass header.from=example.org",
        "dkim-verifier.icloud.com; dkim=none",
        f"spf.icloud.com; spf=pass (spf.icloud.com: domain of {mail_from} designates {ip} as permitted sender) smtp.mailfrom={mail_from}",
    )
    return (
        f"Return-path: <{mail_from}>\n"
        "Received: from p121-mailgateway-smtp-67f8d9f6c-abcde (10.113.1.2)\n by p121-imap.mail.icloud.com; Mon, 23 Nov 2026 10:00:05 +0000 (UTC)\n"
        + "".join(
            f"Authentication-Results: {one}\n"
            for one in ('bimi.icloud.com; bimi=skipped reason="insufficient dmarc"', "arc.icloud.com; arc=none", *results)
        )
        + f"Received: from {ehlo} ({ehlo} [{ip}])\n"
        "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\n"
        "\t key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256)\n"
        "\tby p121-mailgateway-smtp-67f8d9f6c-abcde (Postfix) with ESMTPS id 4FQ1\n"
        "\tfor <anna@icloud.com>; Mon, 23 Nov 2026 10:00:03 +0000 (UTC)\n"
    ).replace("\n", "\r\n").encode() + octets


def gmx(octets, results="dkim=none", *, ip=IP, ehlo="mail.example.org", mail_from="bounce@example.org"):
    """As GMX stores it."""
    return (
        f"Return-Path: <{mail_from}>\n"
        f"Authentication-Results: gmx.net; {results}\n"
        f"Received: from {ehlo} ([{ip}]) by mx-ha.gmx.net (mxgmx005\n"
        " [212.227.15.9]) with ESMTPS (Nemesis) id 1MabcD-1abcdE2fGh-00abcd for\n"
        " <anna@gmx.de>; Mon, 23 Nov 2026 11:00:03 +0100\n"
    ).replace("\n", "\r\n").encode() + octets


def checker_of(dns) -> Checker:
    """A checker without rules, which are not what these tests are about."""
    return Checker(Options(policy.load("bulk"), dns), catalog.Catalog({}, {}, catalog.assemble(strict=False).providers))


def examine(octets, zone, **came_in) -> TargetReport:
    """The report on a message that came in, in a closed DNS world."""
    checker = checker_of(from_mapping(zone))
    target = asyncio.run(checker.message(octets, origin=Origin.AS_RECEIVED, came_in=AsReceived(**came_in)))
    assert target.kind is TargetKind.MESSAGE
    return target


def facts(octets, zone, **came_in) -> dict:
    """What the report shows beside its results."""
    return examine(octets, zone, **came_in).facts
