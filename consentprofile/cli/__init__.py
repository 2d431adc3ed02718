"""The command line: each module parses, calls the SDK, and hands its answer to :mod:`consentprofile.cli.output`."""
