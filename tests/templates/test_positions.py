"""Thirty faults planted in the templates of each language are told on the lines where they stand."""

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from delivcheck import policy
from delivcheck.api import Checker, Options
from delivcheck.config import Config
from delivcheck.model import Outcome
from delivcheck.templates.run import Run, Wishes

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LINK = '<a href="http://p%02d.shop-acme.com/offer">Offer %02d of the week</a>'

# `@` is a link with a fault; each gets a number of its own. `@@` is a value of the data that is such an address.
JINJA = {
    "mail.html.j2": """{% extends "base.html.j2" %}
{% from "macros.html.j2" import card, row as line %}
{% block title %}Offers{% endblock %}
{% block content -%}
  <p>Größe: @</p>
  {%- for item in items %}
  <p>{{ item.name }} @ @</p>
    {% if loop.first -%}
    @
    {%- else %}
    @
    {%- endif %}
  {% endfor -%}
  {% include "part.html.j2" %}
  {{ card("A") }}
  {{- line("B") -}}
  {% call(x) card("C") %}@{% endcall %}
  {% set kept %}<div>@
    @</div>{% endset %}
  {{ kept }}
  {% filter replace("zzz", "yyy") %}@{% endfilter %}
  {% with y = 1 %}@{% endwith %}
  <a href="{{ v.@@ }}">One more of the week</a>
  {% raw %}@{% endraw %}
  {% if user.first == "Ann" %}@{% elif user %}no{% endif %} @
  {{ super() }}
  {#- -#} @ {{ user.first|upper }} @
  @
  @
{%- endblock %}
""",
    "base.html.j2": """<!doctype html><html><body>
@
@ {# a comment
   of two lines #} @
{% block content %}
  @
{% endblock %}
{% include "part.html.j2" %}
@
</body></html>
""",
    "macros.html.j2": """
{% macro card(title) -%}
  <div>{{ title }}
  @
  {{ caller("x") if caller else "" }}
  </div>
{%- endmacro %}
{% macro row(title) %}@
{{ title }} @{% endmacro %}
""",
    "part.html.j2": """{# part #}
<p>@</p>

{%- for n in [1, 2] -%}
  @
  {%- include "deeper.html.j2" -%}
{%- endfor %}
""",
    "deeper.html.j2": """<p>
@ é @
</p>@
""",
}
DJANGO = {
    "mail.html": """{% extends "base.html" %}{% load i18n %}
{% block content %}
  <p>Größe: @</p>
  {% for item in items %}
    <p>{{ item.name }} @ @</p>
    {% if forloop.first %}
      @
    {% else %}
      @
    {% endif %}
  {% endfor %}
  {% include "part.html" with y=1 %}
  {% with z=2 %}@
  {% endwith %}
  {% spaceless %}
     <p>
     @
     </p>
  {% endspaceless %}
  {% blocktranslate %}Take
    @ now{% endblocktranslate %}
  {% filter cut:"zzz" %}@{% endfilter %}
  {% autoescape off %}@{% endautoescape %}
  {% verbatim %}@{% endverbatim %}
  <a href="{{ v.@@ }}">One more of the week</a>
  {% firstof "" "x" %} @
  @ {{ user.first|upper }} @
  @
  {% if user %}@{% endif %}
  @
  {{ block.super }}
{% endblock %}
""",
    "base.html": """<!doctype html><html><body>
{# {% load x %} #}
@
{% comment %} of
two lines {% endcomment %} @
{% block content %}
  @
{% endblock %}
{% include "part.html" %}
{% block unused %}@{% endblock %}
@
</body></html>
""",
    "part.html": """
<p>@</p>
{% for n in items %}
  @
  {% include "deeper.html" only %}
{% endfor %}
""",
    "deeper.html": """<p>
@ é @
</p>@
{% ifchanged 1 %}@
{% endifchanged %}@ @
""",
}
MJML = {
    "mail.mjml": """<mjml>
<mj-head><mj-title>Offers</mj-title></mj-head>
<mj-body>
  <mj-wrapper>
  <mj-section>
    <mj-column>
      <mj-text>Größe: @
        <p>@ é @</p>
      </mj-text>
      <mj-button href="%">More of the week</mj-button>
      <mj-image src="https://img.shop-acme.com/x.png" alt="Chair"
                href="%" />
    </mj-column>
  </mj-section>
  </mj-wrapper>
  <mj-include path="./part.mjml" />
  <mj-section><mj-group>
    <mj-column><mj-text>@</mj-text></mj-column>
    <mj-column><mj-text>

       @</mj-text></mj-column>
  </mj-group></mj-section>
  <mj-raw>
    <p>@</p>
    <!-- a comment --> @
  </mj-raw>
  <mj-section><mj-column>
    <mj-table>
      <tr><td>@</td>
          <td>@</td></tr>
    </mj-table>
    <mj-social><mj-social-element href="%">At home</mj-social-element>
      <mj-social-element name="web"
         href="%">Elsewhere</mj-social-element></mj-social>
    <mj-navbar><mj-navbar-link href="%">Shop</mj-navbar-link>
       <mj-navbar-link
          href="%">Help of ours</mj-navbar-link></mj-navbar>
    <mj-text>@</mj-text><mj-text>@
    @</mj-text>
  </mj-column></mj-section>
  <mj-hero><mj-text>@</mj-text>
    <mj-button
       color="#ffffff"
       href="%">
       Buy now
    </mj-button></mj-hero>
  <mj-include path="./part.mjml" />
</mj-body>
</mjml>
""",
    "part.mjml": """<mj-section>
  <mj-column>
    <mj-text>@</mj-text>
    <mj-text font-size="12px">
      @ and
      @
    </mj-text>
    <mj-accordion><mj-accordion-element>
      <mj-accordion-title>Why</mj-accordion-title>
      <mj-accordion-text>@
        @</mj-accordion-text>
    </mj-accordion-element></mj-accordion>
    <mj-text>@</mj-text>
    <mj-text>
    <p>@ @</p>
    @ @
    @</mj-text>
  </mj-column>
</mj-section>
""",
}
HANDLEBARS = {
    "mail.hbs": """<!doctype html><html><body>
<p>Größe: @</p>
{{!-- a comment
  of two lines --}}
{{#each items}}
  <p>{{name}} @ @</p>
  {{#if @first}}
    @
  {{else}}
    @
  {{/if}}
{{/each}}
{{> part}}
{{#with user}}
  @ {{first}}
{{/with}}
{{~#unless missing~}}
  @
{{~/unless~}}
<a href="{{{v.@@}}}">One more of the week</a>
  {{> part}}
{{#items}}@{{/items}}
{{^missing}}
  @
{{/missing}} @ @ @ @ @ @
{{name}} @ @
@
@
@ é @
@ @
</body></html>
""",
    "part.hbs": """<p>@</p>

{{#each items}}
  @
  {{> deeper}}
{{/each}}
""",
    "deeper.hbs": """<p>
@ é @
</p>@
@
{{! here }}
  @
""",
}
LIQUID = {
    "mail.liquid": """<!doctype html><html><body>
<p>Größe: @</p>
{% comment %} of
two lines {% endcomment %}
{%- for item in items -%}
  <p>{{ item.name }} @ @</p>
  {% if forloop.first %}
    @
  {%- else -%}
    @
  {% endif %}
{%- endfor -%}
{% include "part" %}
{% assign x = 1 %}@
{% unless missing %}
  @
{% endunless %}
{% case x %}{% when 1 %}@
{% when 2 %}never{% endcase %}
{% capture kept %}<div>
@</div>{% endcapture %}{{ kept }}
<a href="{{ v.@@ }}">One more of the week</a>
{% raw %}@{% endraw %}
{% render "part", items: items %}
@ @ @ @ @ @
@
@ é @
@ @
</body></html>
""",
    "part.liquid": """<p>@</p>
{% for n in items %}
  @
  {%- render "deeper" -%}
{% endfor %}
""",
    "deeper.liquid": """<p>
@ é @
</p>@
@
  @ @
""",
}
MUSTACHE = {
    "mail.mustache": """<!doctype html><html><body>
<p>Größe: @</p>
{{! a comment
  of two lines }}
{{#items}}
  <p>{{name}} @ @</p>
  {{#late}}
    @
  {{/late}}
  {{^late}}
    @
  {{/late}}
{{/items}}
  {{> part}}
{{#user}}
  @ {{first}}
{{/user}}
<a href="{{{v.@@}}}">One more of the week</a>
{{^missing}}@{{/missing}}
{{=<% %>=}}
<%#user%>
  @
<%/user%>
<%={{ }}=%>
@ @ @ @ @
@
@ é @
@ @
@ @ @ @
</body></html>
""",
    "part.mustache": """<p>@</p>

{{#items}}
  @
  {{> deeper}}
{{/items}}
""",
    "deeper.mustache": """<p>
@ é @
</p>@
@
{{! here }}
  @
""",
}
HTML = {"mail.html": "<!doctype html><html><body>\n" + "<p>\n  é @ *|FNAME|* @\n\n@ %%x%%</p>\n" * 10 + "</body></html>\n"}

LANGUAGES = {
    "jinja2": JINJA,
    "django": DJANGO,
    "mjml": MJML,
    "handlebars": HANDLEBARS,
    "liquid": LIQUID,
    "mustache": MUSTACHE,
    "html": HTML,
}
EXACT = {"jinja2", "django", "mjml", "html"}  # the issue's; of others a place may be near, and is marked so


def _plant(texts):
    """The files with the faults in them, the data, and where each fault is: number, file, line."""
    number, planted, values, files = 0, [], {}, {}

    def link(found):
        nonlocal number
        number += 1
        if found[0] == "@@":
            values[f"u{number}"] = f"http://p{number:02d}.shop-acme.com/offer"
            return f"u{number}"
        return LINK % (number, number) if found[0] == "@" else f"http://p{number:02d}.shop-acme.com/offer"

    for name, text in texts.items():
        lines = []
        for line, written in enumerate(text.split("\n"), 1):
            before = number
            lines.append(re.sub(r"@@|@(?!first)|(?<=\")%(?=\")", link, written))
            planted += [(one, name, line) for one in range(before + 1, number + 1)]
        files[name] = "\n".join(lines)
    data = {"items": [{"name": "Chair", "late": False}, {"name": "Table", "late": True}], "user": {"first": "Ann"}, "v": values}
    return files, data, planted


def _found(folder, files, data, engine, ends="\n"):
    """The number of each fault that was told, with the places."""
    for name, text in files.items():
        (folder / name).write_bytes(text.replace("\n", ends).encode())
    run = Run(Config(), Wishes(engine=engine, fuzz=False, roots=(str(folder),)), NOW)
    (one,) = run.prepare([str(folder / next(iter(files)))])
    assert one.error is None, one.error
    one = replace(one, sets=(replace(one.sets[0], data=data, made_up=False),))
    checker = Checker(Options(policy.load("transactional"), "offline", now=NOW))
    report = asyncio.run(run.examine(one, checker, {}))
    faults = [one for one in report.results if one.rule == "template/does-not-render" and one.outcome is Outcome.FAIL]
    assert not faults, faults
    told = {}
    for result in report.results:
        for problem in result.problems if result.rule == "links/plain-http" else ():
            number = int(re.search(r"//p(\d\d)\.", problem.message)[1])
            told.setdefault(number, []).append(problem.where)
    return told


@pytest.mark.parametrize("ends", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("engine", LANGUAGES)
def test_thirty_planted_faults_are_told_where_they_stand(tmp_path, engine, ends):
    files, data, planted = _plant(LANGUAGES[engine])
    assert len(planted) >= 30

    told = _found(tmp_path, files, data, engine, ends)

    assert [planted[number - 1] for number, _, _ in planted if number not in told] == []
    wrong, approximate = [], 0
    for number, name, line in planted:
        for where in told.get(number, ()):
            approximate += where.approximate
            near = 5 if where.approximate else 0
            if where.file != str(tmp_path / name) or abs(where.line - line) > near:
                wrong.append((number, name, line, where))
    assert not wrong
    if engine in EXACT:
        assert approximate == 0
