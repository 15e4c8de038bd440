"""The error tree: the base of an error tells its caller what to do (retry, reject or stop)."""


class SextantError(Exception):
    """Any error that Sextant raises on purpose; its text is one sentence for a person."""


class Retryable(SextantError):
    """The same call may succeed later: a service or the disk is away, not the data wrong."""


class Rejected(SextantError):
    """The input is wrong and will stay wrong; retrying is useless."""


class Fatal(SextantError):
    """The process cannot do its work as it is set up: it stops with this one line."""


class SettingsError(Fatal):
    """A setting is missing or malformed."""


class BundleError(Fatal):
    """A model bundle is missing, incomplete or not what its manifest says."""


class StoreUnavailable(Retryable):
    """MongoDB cannot be reached or did not take the write; nothing is known to be stored."""
