"""The smallest change that would mend each authentication failure of a message that came in, each one proved.

`situation` is what is known of the message; `scouting` looks up what proposals need; `proposals` says what could be changed;
`proof` judges each as if it were done; `provider` keeps what then passes; `reasons` says of the rest why nothing mends it.
"""
