"""Teachers: models that are learned from, behind one interface.

A teacher has an ``identity`` (what makes its answers what they are), a ``batch`` size and one
method, ``answer``. A :class:`~mashbill.teachers.session.Session` puts the journal before it.
"""
