"""What comes back: reports of delivery, complaints, receipts and automatic answers, read without any I/O.

`reading.read` makes a `model.Report` of octets, `causes` says why something was refused, `paths` signs return paths. `services`
reads what sending services report by webhook, `signatures` checks that it is theirs, and `postfix` reads Postfix's log.
`trace.intake` makes events of a report that a signed return path ties to a message of ours.
"""
