"""Links and pixels by which opens and clicks are counted, and tokens by which a recipient leaves a list: pure functions.

`marks` what stands in the tokens · `targets` which links may be tracked · `anchors` where they are in HTML · `wire` edits in a
part as it is encoded · `rewrite` a message · `actors` who opened or clicked · `leaving` unsubscribing by mail.
"""
