"""Everything that can be read out of a header field's value, gathered in one place to import from.

All parsers take the unfolded text of a field (`Field.text`), give frozen values whose spans are places in that text, and
raise nothing but `HeaderError` with the position. `Field.where(*span)` turns a span into line and column, wherever folding
has put it.
"""

from .addresses import AddressList, Flag, Group, Mailbox, Obsolete, parse_addresses, parse_mailbox, parse_path
from .authres import AuthenticationResults, MethodResult, Property, parse_authentication_results
from .dates import DateTime, ObsoleteDate, parse_date
from .fields import Field
from .identifiers import Identifier, parse_identifier, parse_identifiers
from .lexer import HeaderError
from .parameters import (
    MAX_PARAMETERS,
    Flagged,
    Parameter,
    ParameterFault,
    Parametrized,
    parse_content_type,
    parse_disposition,
    parse_token,
)
from .received import Received, parse_received
from .words import EncodedWord, WordFault, decode_words, encoded_words

__all__ = [
    "MAX_PARAMETERS",
    "AddressList",
    "AuthenticationResults",
    "DateTime",
    "EncodedWord",
    "Flag",
    "Flagged",
    "Group",
    "HeaderError",
    "Identifier",
    "Mailbox",
    "MethodResult",
    "Obsolete",
    "ObsoleteDate",
    "Parameter",
    "ParameterFault",
    "Parametrized",
    "Property",
    "Received",
    "WordFault",
    "decode_words",
    "display_text",
    "encoded_words",
    "parse_addresses",
    "parse_authentication_results",
    "parse_content_type",
    "parse_date",
    "parse_disposition",
    "parse_identifier",
    "parse_identifiers",
    "parse_mailbox",
    "parse_path",
    "parse_received",
    "parse_token",
]


def display_text(field: Field | str) -> str:
    """The value of an unstructured field (Subject, Comments) as a reader sees it: unfolded, encoded-words decoded.

    For showing and for rules about content. What is wrong with the encoding is told by `encoded_words`, not here.
    """
    return decode_words(field if isinstance(field, str) else field.text)
