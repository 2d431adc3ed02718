"""Pictures of releases, made of their published figures alone, so that they can show no more than these.

:mod:`~consentprofile.release.pictures.choosing` finds the shape for the figures, one entry for each measure; each shape
is a module and a small value that draws itself on the sheet of :mod:`~consentprofile.release.pictures.canvas`.
"""
