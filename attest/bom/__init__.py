"""Bills of materials: CycloneDX 1.6 and 1.7 for models, datasets and firmware.

:mod:`~attest.bom.components`, :mod:`~attest.bom.modelcard` and :mod:`~attest.bom.document` are the
typed parts that a BOM is assembled from and their one serialisation; :mod:`~attest.bom.schema`
checks any BOM, of ours or not, against the official schemas; :mod:`~attest.bom.model` and
:mod:`~attest.bom.licences` say what the files of a model say. A BOM by somebody else is judged by
its own bytes and never written anew.
"""
