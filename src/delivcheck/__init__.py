"""delivcheck: is there anything here for which mailbox providers refuse or hide mail, and what exactly must change?"""

__version__ = "0.1.0"
