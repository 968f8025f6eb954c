"""A sendmail(8) that sends only what passes: for PHP, cron, mutt, git and whatever else hands its mail to that command.

`arguments` reads the command line, `compose` makes the message complete, `nexthop` sends it on, `session` is -bs, `running`
puts them together.
"""
