"""The components of MJML, and which of their attributes arrive in the HTML as they were written.

By the documentation of MJML 4 (documentation.mjml.io) and the source of mrml 6.0.1; both read 2026-11-23.
"""

ENDING = frozenset({  # "ending tags": what they hold is HTML, which MJML does not look into
    "mj-accordion-text", "mj-accordion-title", "mj-button", "mj-carousel-image", "mj-navbar-link", "mj-preview", "mj-raw",
    "mj-social-element", "mj-style", "mj-table", "mj-text", "mj-title",
})  # fmt: skip
BODY = frozenset({
    "mj-accordion", "mj-accordion-element", "mj-accordion-text", "mj-accordion-title", "mj-body", "mj-button", "mj-carousel",
    "mj-carousel-image", "mj-column", "mj-divider", "mj-group", "mj-hero", "mj-image", "mj-navbar", "mj-navbar-link", "mj-raw",
    "mj-section", "mj-social", "mj-social-element", "mj-spacer", "mj-table", "mj-text", "mj-wrapper",
})  # fmt: skip
HEAD = frozenset({
    "mj-all", "mj-attributes", "mj-breakpoint", "mj-class", "mj-font", "mj-head", "mj-html-attributes", "mj-preview", "mj-raw",
    "mj-style", "mj-title",
})  # fmt: skip
KNOWN = BODY | HEAD | {"mjml", "mj-include", "mj-selector", "mj-html-attribute"}
DROPPED = frozenset({"mj-html-attributes"})  # mrml refuses it; it only adds attributes to what selectors find

CLASSED = BODY - {"mj-raw"}  # take css-class
VOID = frozenset({
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
})  # fmt: skip

VERBATIM = frozenset({  # attributes that no component computes with: what is written is what arrives, perhaps within a style
    "alt", "background-color", "background-url", "border-color", "border-radius", "color", "container-background-color",
    "font-style", "font-weight", "href", "ico-color", "icon-unwrapped-alt", "icon-unwrapped-url", "icon-wrapped-alt",
    "icon-wrapped-url", "inner-background-color", "left-icon", "letter-spacing", "rel", "right-icon", "src", "srcset",
    "tb-hover-border-color", "tb-selected-border-color", "text-decoration", "text-transform", "thumbnails-src", "title",
    "usemap",
})  # fmt: skip
OF_ROOT = frozenset({"lang", "dir"})  # of <mjml>, likewise
