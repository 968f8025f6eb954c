"""Rules about leaving a mailing list: the fields, the address they name, the signature over them, the link in the text."""
