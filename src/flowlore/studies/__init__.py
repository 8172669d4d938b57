"""Questions → evidence: declared experiments with honest baselines, run file by run file, and their reports."""

from ..registry import Registry

STUDIES = Registry(
    "study",
    {
        "audit": "flowlore.studies.audit:Audit",
        "representations": "flowlore.studies.representations:Representations",
    },
    plural="studies",
)
MATERIALS = Registry(
    "material",
    {
        "cic-ids2017": "flowlore.studies.materials.tables:cic_ids2017",
        "drift": "flowlore.studies.materials.transfer:drift",
        "fgnet": "flowlore.studies.materials.tables:fgnet",
        "iot-sentinel": "flowlore.studies.materials.captures:iot_sentinel",
        "laboratory": "flowlore.studies.materials.laboratory:laboratory",
        "laboratory-to-iot-sentinel": "flowlore.studies.materials.transfer:laboratory_to_iot_sentinel",
        "laboratory-to-ndpi": "flowlore.studies.materials.transfer:laboratory_to_ndpi",
        "luflow": "flowlore.studies.materials.tables:luflow",
        "ndpi": "flowlore.studies.materials.captures:ndpi",
        "office": "flowlore.studies.materials.laboratory:office",
    },
)
