"""The OpenAPI document is what the service does: every answer it gives is described, and whatever is asked, none is a fault."""

import json

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from delivcheck.gate.http.v1 import reading
from delivcheck.gate.http.v1.auth import Rates
from tests.gate.http.v1.service import service
from tests.gate.http.v1.serving import serving

schemathesis = pytest.importorskip("schemathesis")
conforms = pytest.importorskip("schemathesis.specs.openapi.checks")


async def test_the_document_names_every_route_its_errors_and_the_key(tmp_path):
    async with service(tmp_path) as web:
        answer = await web.get("/v1/openapi.json", "")
        assert answer.status_code == 200, "it is no secret"
        document = answer.json()
        assert document["openapi"].startswith("3.1")
        routes = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
        assert routes >= {
            ("POST", "/v1/messages"), ("GET", "/v1/messages"), ("GET", "/v1/messages/{id}"), ("POST", "/v1/check"),
            ("GET", "/v1/events"), ("GET", "/v1/stats"), ("GET", "/v1/suppressions"), ("POST", "/v1/suppressions"),
            ("DELETE", "/v1/suppressions"), ("GET", "/v1/held"), ("GET", "/v1/held/{id}"), ("POST", "/v1/held/{id}/release"),
            ("DELETE", "/v1/held/{id}"), ("GET", "/v1/webhooks"), ("POST", "/v1/webhooks"),
        }  # fmt: skip
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                assert operation["security"] == [{"key": []}], (method, path)
                assert operation["responses"].keys() >= {"401", "403", "422", "429", "503"}, (method, path)
                assert operation["description"], (method, path)
        text = json.dumps(document)
        assert "HTTPValidationError" not in text
        named = set(document["components"]["schemas"])
        assert {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]} <= named


@pytest.mark.attack(67)
def test_whatever_is_asked_the_answer_is_one_of_those_described(tmp_path, soak, monkeypatch):
    monkeypatch.setattr(reading, "MAX_WAIT", 0.05)  # or it would wait for events half of the time
    monkeypatch.setattr(reading, "POLL", 0.01)
    examples = 200 if soak else 3
    with serving(tmp_path, hold=True, rates=Rates(rate=1e9, burst=10**9)) as (web, url):
        schema = schemathesis.openapi.from_url(f"{url}/v1/openapi.json")
        key = {"Authorization": f"Bearer {web.token}"}
        asked = 0
        for found in schema.get_all_operations():
            operation = found.ok()

            @settings(
                max_examples=examples,
                deadline=None,
                database=None,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(
                case=operation.as_strategy(), wrong=operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)
            )
            def ask(case, wrong):
                nonlocal asked
                for one in (case, wrong):
                    answer = one.call(headers=key, timeout=20)
                    asked += 1
                    assert answer.status_code < 500 or answer.status_code == 503, answer.text
                    one.validate_response(answer, checks=CHECKS)

            ask()
        assert asked > 100
        faults = [one for name, one in web.told if name == "fault"]
        assert faults == []


CHECKS = [
    getattr(conforms, name)
    for name in (
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    )
]
