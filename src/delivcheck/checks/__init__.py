"""The rules, a module (or a package) per family: pure functions from facts to problems, each bound to its page by id."""
