"""The attestation server: enrolment, appraisal, audit log (extra ``server``).

Holds nothing yet but its name and its place in the import contracts.
"""
