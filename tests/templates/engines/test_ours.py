"""A mistake of our own, met while a template is rendered, is not told as the template's."""

import pytest

from delivcheck.templates.engines.ours import is_ours


def _raised(code, name):
    try:
        exec(compile(code, "<made up>", "exec"), {"__name__": name})
    except Exception as error:  # noqa: BLE001 -- whatever it raises
        return error
    raise AssertionError


@pytest.mark.parametrize("code", ["assert False", "nobody_defined_this"])
def test_a_mistake_in_our_code_is_ours_and_nobody_elses(code):
    assert is_ours(_raised(code, "delivcheck.templates.engines.jinja.text"))
    assert not is_ours(_raised(code, "somebodys.filters"))


def test_what_our_code_raises_for_a_template_is_the_templates():
    assert not is_ours(_raised("int('x')", "delivcheck.templates.data.standin"))
    assert not is_ours(AssertionError("never raised"))


def test_it_reaches_the_caller_of_the_engine(monkeypatch):
    from delivcheck.templates.engines import registry
    from delivcheck.templates.engines.jinja import engine as jinja
    from delivcheck.templates.model import Host, Source

    def broken(*_):
        raise _raised("assert False", "delivcheck.templates.engines.jinja.text")

    monkeypatch.setattr(jinja, "joined", broken)
    with pytest.raises(AssertionError):
        registry.engine("jinja2", Host()).render(Source("a.html", "<p>{{ x }}</p>"), {"x": 1}, None, html=True)
