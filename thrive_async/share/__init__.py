"""What processes can share: one quota, one cool-down, one token, and one holder of a lease at a time.

`MemoryShare` is for the clients of one process, `FileShare` for the processes of one machine, `RedisShare` for many
machines. A class of your own with the methods of `Share` works as well; `thrive_async.share.conformance` tests it.
"""

from thrive_async.share.errors import LeaseLost, LeaseTaken, ShareUnavailable, TurnTooLate
from thrive_async.share.files import FileShare
from thrive_async.share.leases import Lease, lease
from thrive_async.share.memory import MemoryShare
from thrive_async.share.opening import open_share
from thrive_async.share.protocol import Cipher, Place, Scope, Share, Stored
from thrive_async.share.redis import OnLoss, RedisShare
from thrive_async.share.row import Row
from thrive_async.share.tokens import SharedToken, SharedTokens

__all__ = [
    "Cipher",
    "FileShare",
    "Lease",
    "LeaseLost",
    "LeaseTaken",
    "MemoryShare",
    "OnLoss",
    "Place",
    "RedisShare",
    "Row",
    "Scope",
    "Share",
    "ShareUnavailable",
    "SharedToken",
    "SharedTokens",
    "Stored",
    "TurnTooLate",
    "lease",
    "open_share",
]
