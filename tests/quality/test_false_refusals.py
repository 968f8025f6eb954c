"""Mail that is known to be accepted has no error under any policy that fits it; what is left out is left out for a reason."""

import pytest

from tests.mime.corpora import FOLDER, needs_corpora
from tests.quality import accepted, corpus, wellformed

PARTS = 8  # of so many messages a normal run judges one


@pytest.mark.parametrize("number", range(PARTS))
def test_our_own_well_formed_mail_is_not_refused(number, soak):
    if number and not soak:
        pytest.skip("a sample; --soak takes all")
    assert [refusal for case in accepted.own(number, PARTS, packs=soak) for refusal in accepted.refusals(case)] == []


@needs_corpora
@pytest.mark.parametrize("number", range(PARTS))
def test_archived_mail_made_good_is_not_refused(number, soak):
    if number and not soak:
        pytest.skip("a sample; --soak takes all")
    assert [refusal for case in accepted.archived(number, PARTS) for refusal in accepted.refusals(case)] == []


def test_the_benchs_newsletters_are_not_refused(tmp_path, soak):
    cases = list(accepted.bench(tmp_path, 20 if soak else 2))
    assert cases
    assert [refusal for case in cases for refusal in accepted.refusals(case)] == []


def test_no_kind_of_mail_is_written_twice():
    names = [mail.name for mail in wellformed.everything()]
    assert len(names) == len(set(names)) >= 200


@needs_corpora
def test_what_is_left_out_exists_and_says_why():
    assert all((FOLDER / name).is_file() for name in accepted.faulty())
    assert all(entry["why"] for entry in accepted.reasons().values())


def test_only_what_storage_and_time_did_is_undone():
    mail = corpus.made_good(
        "msg-x/1",
        b"From someone Mon Nov 23\nReceived: from a by b\nX-Spam: yes\nFrom: Ann <ann@gone.example>\nBcc: c@d.example\n\nBody  \n",
    )
    assert [name for name, _ in mail.fields] == ["From", "Date", "Message-ID", "To", "Subject"]
    assert mail.get("From") == "Ann <ann@shop.com>"
    assert mail.octets().endswith(b"\r\n\r\nBody  \r\n")
    assert corpus.made_good("msg-x/2", b"no header at all\n") is None
