"""Terraform plans: what becomes of each record set, for every provider that is read, and what cannot be told."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.model import Failed, Found, NoData
from delivcheck.net import terraform
from delivcheck.net.names import Alias, Edit
from delivcheck.net.terraform import parse
from delivcheck.net.zone import ZoneError

AWS_ZONE = {"type": "aws_route53_zone", "values": {"id": "Z1", "zone_id": "Z1", "name": "example.org"}}


def change(type_, after=None, before=None, *, unknown=None, address=None, actions=None, mode="managed"):
    actions = actions or (["create"] if before is None else ["delete"] if after is None else ["update"])
    what = {"actions": actions, "before": before, "after": after, "after_unknown": unknown or {}}
    return {"address": address or f"{type_}.it", "mode": mode, "type": type_, "name": "it", "change": what}


def plan(*changes, state=(AWS_ZONE,), **more):
    prior = {"format_version": "1.0", "values": {"root_module": {"child_modules": [{"resources": list(state)}]}}}
    return json.dumps({"format_version": "1.2", "prior_state": prior, "resource_changes": list(changes), **more})


def aws(name="example.org", type_="TXT", **values):
    return {"zone_id": "Z1", "name": name, "type": type_, "ttl": 300, "alias": [], **values}


def read(*changes, file="plan.json", state=(AWS_ZONE,)):
    zone = parse(plan(*changes, state=state), file)
    return {" ".join(key): held for key, held in zone.records.items()}, zone.unread


def cloudflare(content, name="example.org", type_="TXT", **values):
    return {
        "zone_id": "c1",
        "name": name,
        "type": type_,
        "ttl": 1,
        "content": content,
        "data": None,
        "proxied": False,
        **values,
    }


# --- whole record sets -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "values", "name", "records"),
    [
        ("aws_route53_record", aws(records=["v=spf1 -all"]), "example.org TXT", ((b"v=spf1 -all",),)),
        ("aws_route53_record", aws("_dmarc", records=['v=DMARC1; p=none; rua=""mailto:a@b.example']), "_dmarc.example.org TXT", ((b"v=DMARC1; p=none; rua=", b"mailto:a@b.example"),)),
        ("aws_route53_record", aws("k", records=[r"a\042b\\c"]), "k.example.org TXT", ((b'a"b\\c',),)),
        ("aws_route53_record", aws("\\052.example.org", records=["x"]), "*.example.org TXT", ((b"x",),)),
        ("aws_route53_record", aws("EXAMPLE.org.", "MX", records=["10 mx.example.org", "20 mx2.example.net."]), "example.org MX", ((10, "mx.example.org"), (20, "mx2.example.net"))),
        ("aws_route53_record", aws("", "A", records=["192.0.2.1"]), "example.org A", ("192.0.2.1",)),
        ("google_dns_record_set", {"managed_zone": "z", "name": "example.org.", "type": "TXT", "ttl": 60, "rrdatas": ['"v=spf1 -all"', '"a" "b"']}, "example.org TXT", ((b"a", b"b"), (b"v=spf1 -all",))),
        ("google_dns_record_set", {"name": "example.org.", "type": "TXT", "rrdatas": ["v=spf1 -all"]}, "example.org TXT", ((b"v=spf1", b"-all"),)),
        ("google_dns_record_set", {"name": "example.org.", "type": "MX", "rrdatas": ["1 smtp.google.com."]}, "example.org MX", ((1, "smtp.google.com"),)),
        ("azurerm_dns_txt_record", {"name": "@", "zone_name": "example.org", "ttl": 300, "record": [{"value": 'v=spf1 "x" -all'}]}, "example.org TXT", ((b'v=spf1 "x" -all',),)),
        ("azurerm_dns_mx_record", {"name": None, "zone_name": "example.org", "record": [{"preference": "10", "exchange": "mx.example.org."}]}, "example.org MX", ((10, "mx.example.org"),)),
        ("azurerm_dns_cname_record", {"name": "s1._domainkey", "zone_name": "example.org", "record": "dkim.example.net"}, "s1._domainkey.example.org CNAME", ("dkim.example.net",)),
        ("azurerm_dns_a_record", {"name": "mx", "zone_name": "example.org", "records": ["192.0.2.1"]}, "mx.example.org A", ("192.0.2.1",)),
        ("azurerm_dns_a_record", {"name": "example.org", "zone_name": "example.org", "records": ["192.0.2.1"]}, "example.org.example.org A", ("192.0.2.1",)),
        ("azurerm_dns_aaaa_record", {"name": "mx", "zone_name": "example.org", "records": ["2001:DB8::1"]}, "mx.example.org AAAA", ("2001:db8::1",)),
        ("azurerm_dns_ns_record", {"name": "sub", "zone_name": "example.org", "records": ["ns.example.net."]}, "sub.example.org NS", ("ns.example.net",)),
        ("azurerm_dns_ptr_record", {"name": "1", "zone_name": "2.0.192.in-addr.arpa", "records": ["mx.example.org"]}, "1.2.0.192.in-addr.arpa PTR", ("mx.example.org",)),
        ("azurerm_dns_caa_record", {"name": "@", "zone_name": "example.org", "record": [{"flags": 0, "tag": "issue", "value": "ca.example"}]}, "example.org CAA", ('0 issue "ca.example"',)),
        ("azurerm_dns_srv_record", {"name": "_s._tcp", "zone_name": "example.org", "record": [{"priority": 1, "weight": 2, "port": 3, "target": "t.example.org"}]}, "_s._tcp.example.org SRV", ("1 2 3 t.example.org.",)),
    ],
)  # fmt: skip
def test_a_resource_that_is_a_set_stands_for_the_set_and_its_deletion_hides_it(kind, values, name, records):
    found, unread = read(change(kind, values))
    assert {key: held.records for key, held in found.items()} == {name: records}
    assert unread == ()
    gone, _ = read(change(kind, None, values))
    assert {key: type(held) for key, held in gone.items()} == {name: NoData}
    replaced, _ = read(change(kind, values, values, actions=["delete", "create"]))
    assert replaced == found


def test_what_a_plan_leaves_alone_is_as_published():
    values = aws(records=["x"])
    for actions in (["no-op"], ["read"], ["forget"]):
        assert read(change("aws_route53_record", values, values, actions=actions)) == ({}, ())
    assert read(change("aws_route53_record", values, mode="data")) == ({}, ())
    assert parse('{"format_version": "1.2", "planned_values": {}}').records == {}, "a plan that changes nothing has no list"


def test_a_name_that_goes_in_one_resource_and_comes_in_another_is_there():
    one, other = aws(records=["old"]), aws(records=["new"])
    found, _ = read(
        change("aws_route53_record", other, address="a.new"), change("aws_route53_record", None, one, address="a.old")
    )
    assert found["example.org TXT"].records == ((b"new",),)


def test_an_alias_is_answered_by_its_target_and_routing_policies_by_nobody_knows():
    alias = aws("www", "A", alias=[{"name": "lb.example.net.", "zone_id": "ZX", "evaluate_target_health": False}], ttl=None)
    weighted = aws("w", "A", records=["192.0.2.1"], set_identifier="blue")
    routed = {"name": "r.example.org.", "type": "A", "rrdatas": [], "routing_policy": [{"wrr": []}]}
    azure = {"name": "z", "zone_name": "example.org", "records": [], "target_resource_id": "/subscriptions/x"}
    found, _ = read(
        change("aws_route53_record", alias, address="a.alias"),
        change("aws_route53_record", weighted, address="a.w"),
        change("google_dns_record_set", routed),
        change("azurerm_dns_a_record", azure),
    )
    assert found["www.example.org A"] == Alias("lb.example.net", 60, flat=True)
    assert {key for key, held in found.items() if isinstance(held, Failed)} == {f"{name}.example.org A" for name in "wrz"}
    gone, _ = read(change("aws_route53_record", None, weighted))
    assert isinstance(gone["w.example.org A"], Failed), "the other sets of the policy may stay"


# --- single records ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["cloudflare_record", "cloudflare_dns_record"])
def test_a_cloudflare_resource_is_one_record_of_a_set(kind):
    found, _ = read(
        change(kind, cloudflare("v=spf1 -all"), cloudflare("v=spf1 ~all"), address="c.spf"),
        change(kind, cloudflare('"in" "quotes"'), address="c.new"),
        change(kind, None, cloudflare("mx.example.org", type_="MX", priority=10), address="c.mx"),
    )
    assert found == {
        "example.org TXT": Edit(((b"v=spf1 ~all",),), ((b"v=spf1 -all",), (b"in", b"quotes")), 300),
        "example.org MX": Edit(((10, "mx.example.org"),), (), 300),
    }


def test_cloudflare_of_version_4_has_values_and_relative_names():
    older = {"zone_id": "c1", "name": "_dmarc", "hostname": "_dmarc.example.org", "type": "TXT", "value": "v=DMARC1; p=none"}
    newer = {"zone_id": "c1", "name": "s1._domainkey", "type": "TXT", "content": "v=DKIM1; p=x"}
    found, unread = read(
        change("cloudflare_record", {**older, "value": "v=DMARC1; p=reject"}, older, address="c.a"),
        change("cloudflare_record", newer, unknown={"hostname": True, "value": True, "data": []}, address="c.b"),
    )
    assert unread == ()
    assert set(found) == {"_dmarc.example.org TXT", "s1._domainkey.example.org TXT"}, (
        "the zone follows from a record known in full"
    )


def test_proxied_and_flattened_records_show_no_cname():
    found, _ = read(
        change("cloudflare_record", cloudflare("x.example.net", "www.example.org", "CNAME", proxied=True), address="c.p"),
        change("cloudflare_record", cloudflare("y.example.net", "example.org", "CNAME"), address="c.f"),
        change("cloudflare_record", cloudflare("z.example.net", "a.example.org", "CNAME"), address="c.c"),
        change("cloudflare_record", cloudflare("192.0.2.1", "b.example.org", "A"), cloudflare("192.0.2.1", "b.example.org", "A", proxied=True), address="c.d"),
    )  # fmt: skip
    assert isinstance(found["www.example.org A"], Failed)
    assert isinstance(found["www.example.org AAAA"], Failed)
    assert found["example.org A"] == found["example.org AAAA"] == Alias("y.example.net", 300, flat=True)
    assert found["a.example.org CNAME"] == Found(("z.example.net",), 300)
    assert found["b.example.org A"] == Found(("192.0.2.1",), 300), "no longer proxied"
    assert "www.example.org CNAME" not in found


def test_records_with_data():
    caa = cloudflare(None, type_="CAA", data=[{"flags": "0", "tag": "issue", "value": "ca.example"}])
    newer = cloudflare(
        None, type_="CAA", data={"flags": {"type": "number", "value": 128}, "tag": "iodef", "value": "mailto:a@b.example"}
    )
    tlsa = cloudflare(
        None, "_25._tcp.mx.example.org", "TLSA", data={"usage": 3, "selector": 1, "matching_type": 1, "certificate": "00" * 32}
    )
    srv = cloudflare(
        None, "_s._tcp.example.org", "SRV", data=[{"priority": 0, "weight": 1, "port": 2, "target": "t.example.org."}]
    )
    found, _ = read(
        *(change("cloudflare_record", one, address=f"c.{number}") for number, one in enumerate([caa, newer, tlsa, srv]))
    )
    assert {key: held.added for key, held in found.items()} == {
        "example.org CAA": ('0 issue "ca.example"', '128 iodef "mailto:a@b.example"'),
        "_25._tcp.mx.example.org TLSA": ("3 1 1 " + "00" * 32,),
        "_s._tcp.example.org SRV": ("0 1 2 t.example.org.",),
    }


# --- what is not known -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "after", "unknown", "key"),
    [
        ("aws_route53_record", aws(), {"records": True}, "example.org TXT"),
        ("aws_route53_record", aws(records=[None, "x"]), {"records": [True, False]}, "example.org TXT"),
        ("aws_route53_record", aws("w", "A", alias=[{}]), {"alias": [{"name": True}]}, "w.example.org A"),
        ("google_dns_record_set", {"name": "example.org.", "type": "A"}, {"rrdatas": True}, "example.org A"),
        ("azurerm_dns_txt_record", {"name": "@", "zone_name": "example.org"}, {"record": [{"value": True}]}, "example.org TXT"),
        ("azurerm_dns_cname_record", {"name": "k", "zone_name": "example.org"}, {"record": True}, "k.example.org CNAME"),
        ("cloudflare_record", cloudflare(None), {"content": True, "value": True}, "example.org TXT"),
        ("cloudflare_record", cloudflare(None, "k.example.org", "CNAME"), {"content": True}, "k.example.org CNAME"),
        ("cloudflare_record", cloudflare("mx.example.org", type_="MX"), {"priority": True}, "example.org MX"),
    ],
)  # fmt: skip
def test_known_after_apply_is_unknown_and_never_absent(kind, after, unknown, key):
    found, unread = read(change(kind, after, unknown=unknown))
    assert {name: type(held) for name, held in found.items()} == {key: Failed}
    assert "known after apply" in str(found[key])
    assert unread == ()


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (
            change("aws_route53_record", {"zone_id": "Z1", "type": "CNAME"}, unknown={"name": True}),
            "its name is known after apply",
        ),
        (change("aws_route53_record", aws(), unknown={"type": True}), "its type is known after apply"),
        (change("aws_route53_record", {"zone_id": "Z1", "type": "TXT"}), "it has no name"),
        (change("aws_route53_record", aws(type_="URLFWD", records=["x"])), "the type URLFWD is none that DNS has"),
        (change("aws_route53_record", {**aws("_dmarc", records=["x"]), "zone_id": "other"}), "its name '_dmarc' is relative"),
        (change("cloudflare_record", cloudflare("x", "@")), "its name '@' is relative"),
        (
            change("digitalocean_record", {"name": "@"}),
            "digitalocean_record.it: records of the kind digitalocean_record are not read",
        ),
        (change("aws_route53_zone", None, AWS_ZONE["values"]), "is deleted with all its records"),
    ],
)
def test_what_cannot_be_placed_is_told(one, says):
    found, unread = read(one)
    assert found == {}
    assert len(unread) == 1
    assert says in unread[0]


def test_a_relative_name_is_taken_from_the_files_name_at_last():
    found, unread = read(change("cloudflare_record", cloudflare("x", "@")), file="plans/example.org.tfplan.json")
    assert (list(found), unread) == (["example.org TXT"], ())
    found, unread = read(change("cloudflare_record", cloudflare("x", "a.example.net")), file="plan.json", state=())
    assert (list(found), unread) == (["a.example.net TXT"], ())


def test_private_zones_and_other_resources_do_not_matter():
    private = {"type": "aws_route53_zone", "values": {"zone_id": "Z9", "name": "example.org", "vpc": [{"vpc_id": "v"}]}}
    hidden = {"type": "google_dns_managed_zone", "values": {"name": "in", "dns_name": "example.org.", "visibility": "private"}}
    found, unread = read(
        change("aws_route53_record", {**aws(records=["x"]), "zone_id": "Z9"}),
        change("google_dns_record_set", {"managed_zone": "in", "name": "example.org.", "type": "TXT", "rrdatas": ["x"]}),
        change("azurerm_private_dns_txt_record", {"name": "@"}),
        change("aws_instance", {"ami": "x"}),
        state=(private, hidden),
    )
    assert (found, unread) == ({}, ())


# --- files that are no plan --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "no Terraform plan as terraform show -json PLAN prints it"),
        ("{}", "no Terraform plan; what is wanted"),
        ('{"format_version": "1.0", "values": {}}', "no Terraform plan; what is wanted"),
        ('{"format_version": "2.0", "resource_changes": []}', "the plan's format is '2.0'"),
        ('{"format_version": 1, "resource_changes": []}', "no Terraform plan as"),
        ('{"format_version": "1.2", "resource_changes": [1]}', "no Terraform plan as"),
        ('{"format_version": "1.2", "resource_changes": [{"type": "x"}]}', "no Terraform plan as"),
        ('{"@level": "info"}\n{"@level": "info"}', "the log lines of terraform plan -json"),
        ('{"x": ' + "[" * 100_000, "nested too deeply"),
        (plan(change("aws_route53_record", aws(5, records=["x"]))), "aws_route53_record.it: its name is no text"),
        (plan(change("aws_route53_record", aws("a..b.example.org", records=["x"]))), "is no domain name"),
        (plan(change("aws_route53_record", aws(records="x"))), "its values are no list of texts"),
        (plan(change("aws_route53_record", aws(records=["x" * 256]))), "a character-string of 256 octets"),
        (plan(change("aws_route53_record", aws(records=['a"b']))), "a quotation mark that is not closed"),
        (plan(change("aws_route53_record", aws(records=["\\777"]))), "is no octet"),
        (plan(change("aws_route53_record", aws(records=["x" * 300_000]))), "a TXT record of 300002 characters"),
        (plan(change("aws_route53_record", aws(type_="MX", records=["x"]))), "'x' is no MX record"),
        (plan(change("aws_route53_record", aws(ttl="soon", records=["x"]))), "the ttl is no number"),
        (plan(change("cloudflare_record", cloudflare("mx.example.org", type_="MX", priority=10**320))), "it: '1000"),
        (plan(change("aws_route53_record", aws(ttl=1e300, type_="A", records=["x"]))), "'x' is no A record"),
        (plan(change("aws_route53_record", {"zone_id": "Z1", "name": "a", "records": []})), "type is missing"),
        (plan(change("azurerm_dns_txt_record", {"name": "a", "zone_name": "example.org", "record": [{"value": None}]})), "value is missing"),
        (plan(change("cloudflare_record", cloudflare("mx.example.org", type_="MX"))), "priority is missing"),
    ],
)  # fmt: skip
def test_what_is_no_plan_or_no_record_is_one_line(text, says):
    with pytest.raises(ZoneError) as caught:
        parse(text, "plan.json")
    assert says in str(caught.value)
    assert str(caught.value).startswith("plan.json: ")
    assert "\n" not in str(caught.value)


def test_deep_values_of_a_record_are_refused_not_followed():
    deep = "[" * 900 + "true" + "]" * 900
    text = plan(change("aws_route53_record", aws(records=["x"]))).replace(
        '"after_unknown": {}', f'"after_unknown": {{"records": {deep}}}'
    )
    try:
        assert isinstance(parse(text).records["example.org", "TXT"], Failed)
    except ZoneError as error:
        assert "nested too deeply" in str(error)


def test_more_changes_than_any_plan_has_are_refused(monkeypatch):
    monkeypatch.setattr(terraform, "MAX_CHANGES", 1)
    with pytest.raises(ZoneError, match="more than 1 changes"):
        read(*(change("aws_route53_record", aws(records=[text])) for text in "ab"))


def test_edits_of_one_large_set_take_time_in_proportion():
    changes = [change("cloudflare_record", cloudflare(f"new{n}"), cloudflare(f"old{n}"), address=f"c.{n}") for n in range(3000)]
    found, _ = read(*changes)
    assert len(found["example.org TXT"].added) == 3000


values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.sampled_from(["", "@", "TXT", "MX", "x", '"', "\\", "10 a.", "Z1", "192.0.2.1"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["name", "value", "flags"]), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = [
    "name",
    "type",
    "ttl",
    "records",
    "rrdatas",
    "record",
    "content",
    "value",
    "data",
    "alias",
    "zone_id",
    "zone_name",
    "proxied",
    "priority",
    "set_identifier",
    "hostname",
    "fqdn",
]
resources = st.dictionaries(st.sampled_from(FIELDS), values, max_size=8)


@given(st.sampled_from(sorted(terraform.KINDS)), resources, resources, resources, st.sampled_from([["create"], ["update"], ["delete"], ["delete", "create"], []]))  # fmt: skip
def test_it_returns_or_raises_the_one_declared_error(kind, before, after, unknown, actions):
    said = ""
    try:
        parse(plan(change(kind, {"name": "a", **after}, before, unknown=unknown, actions=actions)))
    except ZoneError as error:
        said = str(error)
    assert "\n" not in said


@given(st.text(max_size=80))
def test_any_text_returns_or_raises_the_one_declared_error(text):
    try:
        parse("{" + text)
    except ZoneError as error:
        assert "\n" not in str(error)
