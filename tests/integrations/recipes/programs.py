"""Programs of other languages around what the page shows: each sends one mail, and says what its user sees.

A program gets the subject as its first argument, and ends with 0 if the mail was taken.
"""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import conftest
from tests.conftest import MISSING
from tests.servers import NODE_MODULES, NODEMAILER, in_ci

PATIENCE = 60.0
TEXT = "Your order has been sent. Grüße"
SYMFONY = Path("/usr/share/php/Symfony/Component/Mailer/autoload.php")
RUBY = Path("/usr/share/rubygems-integration/all/specifications")
LIBRARIES = {"symfony": ("php", SYMFONY.exists), "rails": ("ruby", lambda: any(RUBY.glob("actionmailer-*")))}


@dataclass(frozen=True)
class Said:
    """What a program's user sees."""

    ok: bool
    text: str


def run(command: list[str], environment: Mapping[str, str] | None = None) -> Said:
    done = subprocess.run(
        command, env={**os.environ, **(environment or {})}, capture_output=True, timeout=PATIENCE, check=False, text=True
    )
    return Said(done.returncode == 0, done.stdout + done.stderr)


def require(name: str) -> None:
    """Skip where a program, or Debian's library for it, is not there; in CI that is a failure."""
    of, there = LIBRARIES.get(name, (name, lambda: True))
    conftest.require(of)
    if not there():
        pytest.fail(f"{MISSING}{name}") if in_ci() else pytest.skip(f"{MISSING}{name}")


# --- Node ----------------------------------------------------------------------------------------------------------------

_NODE = """
transport
  .sendMail({ from: "Shop <orders@DOMAIN>", to: "Pat <pat@example.net>", bcc: "kim@example.net", subject: process.argv[2], text: "TEXT" })
  .then((done) => console.log(done.response), (error) => { console.error(error.responseCode, error.message); process.exitCode = 1; });
"""


def node(shown: str, subject: str, folder: Path, domain: str, environment: Mapping[str, str] | None = None) -> Said:
    require(NODEMAILER)
    script = folder / "send.cjs"
    script.write_text(shown + _NODE.replace("DOMAIN", domain).replace("TEXT", TEXT))
    return run(["node", str(script), subject], {"NODE_PATH": str(NODE_MODULES), **(environment or {})})


# --- PHP -----------------------------------------------------------------------------------------------------------------

_SYMFONY = """<?php
require 'AUTOLOAD';
use Symfony\\Component\\Mailer\\Exception\\TransportExceptionInterface;
use Symfony\\Component\\Mailer\\Transport;
use Symfony\\Component\\Mailer\\Transport\\Dsn;
use Symfony\\Component\\Mailer\\Transport\\Smtp\\EsmtpTransportFactory;

if (getenv('MAILER_DSN')) {
    $transport = Transport::fromDsn(getenv('MAILER_DSN'));
} else { // as Laravel's MailManager does it
    $dsn = new Dsn(getenv('MAIL_SCHEME'), getenv('MAIL_HOST'), getenv('MAIL_USERNAME'), getenv('MAIL_PASSWORD'), getenv('MAIL_PORT'));
    $transport = (new EsmtpTransportFactory())->create($dsn);
}
$email = (new Symfony\\Component\\Mime\\Email())
    ->from('Shop <orders@DOMAIN>')->to('Pat <pat@example.net>')->bcc('kim@example.net')->subject($argv[1])->text('TEXT');
try {
    $transport->send($email);
} catch (TransportExceptionInterface $error) {
    fwrite(STDERR, $error->getCode() . ' ' . $error->getMessage());
    exit(1);
}
"""


def dotenv(shown: str) -> dict[str, str]:
    """The variables of a .env file."""
    pairs = (line.partition("=") for line in shown.splitlines() if "=" in line)
    return {name: value.strip().strip('"') for name, _, value in pairs}


def symfony(shown: str, subject: str, folder: Path, domain: str, authority: Path | None = None) -> Said:
    require("symfony")
    script = folder / "send.php"
    script.write_text(_SYMFONY.replace("AUTOLOAD", str(SYMFONY)).replace("DOMAIN", domain).replace("TEXT", TEXT))
    trusted = [f"-dopenssl.cafile={authority}"] if authority is not None else []
    return run(["php", *trusted, str(script), subject], {"MAILER_DSN": "", **dotenv(shown)})


def php_mail(shown: str, subject: str, folder: Path, domain: str) -> Said:
    require("php")
    (folder / "php.ini").write_text(shown)
    header = f"From: Shop <orders@{domain}>\\r\\nContent-Type: text/plain; charset=utf-8\\r\\nContent-Transfer-Encoding: 8bit\\r\\nMIME-Version: 1.0"
    code = f'exit(mail("Pat <pat@example.net>", $argv[1], "{TEXT}", "{header}", "-forders@{domain}") ? 0 : 1);'
    return run(["php", "-c", str(folder), "-r", code, "--", subject])


# --- Ruby ----------------------------------------------------------------------------------------------------------------

_RAILS = """
require "action_mailer"
config = Struct.new(:action_mailer).new(ActionMailer::Base)
SHOWN
class Mail4711 < ActionMailer::Base
  def sent(subject)
    mail(from: "Shop <orders@DOMAIN>", to: "Pat <pat@example.net>", bcc: "kim@example.net", subject: subject, body: "TEXT")
  end
end
begin
  Mail4711.sent(ARGV[0]).deliver_now
rescue StandardError => error
  abort "#{error.class}: #{error.message}"
end
"""


def rails(shown: str, subject: str, folder: Path, domain: str, environment: Mapping[str, str]) -> Said:
    require("rails")
    script = folder / "send.rb"
    script.write_text(_RAILS.replace("SHOWN", shown).replace("DOMAIN", domain).replace("TEXT", TEXT))
    return run(["ruby", "-Ku", str(script), subject], environment)
