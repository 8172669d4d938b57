"""Questions → evidence: declared experiments with honest baselines, run file by run file, and their reports."""

from ..registry import Registry

STUDIES = Registry(
    "study",
    {
        "audit": "flowlore.studies.audit:Audit",
        "augmentation": "flowlore.studies.augmentation:Augmentation",
        "ddos": "flowlore.studies.ddos:Ddos",
        "dynamics": "flowlore.studies.dynamics:DynamicsStudy",
        "generation": "flowlore.studies.generation:Generation",
        "graph": "flowlore.studies.graph:Graph",
        "latent": "flowlore.studies.latent:Latent",
        "representations": "flowlore.studies.representations:Representations",
    },
    plural="studies",
)
MATERIALS = Registry(
    "material",
    {
        "abilene": "flowlore.studies.materials.series:abilene",
        "cic-ids2017": "flowlore.studies.materials.tables:cic_ids2017",
        "drift": "flowlore.studies.materials.transfer:drift",
        "esnet": "flowlore.studies.materials.series:esnet",
        "exposed-hosts": "flowlore.studies.materials.networks:exposed_hosts",
        "exposed-rates": "flowlore.studies.materials.hostrates:exposed_rates",
        "fgnet": "flowlore.studies.materials.tables:fgnet",
        "fgnet-days": "flowlore.studies.materials.tables:fgnet_days",
        "floods": "flowlore.studies.materials.floods:floods",
        "germany50": "flowlore.studies.materials.series:germany50",
        "honeypot-rates": "flowlore.studies.materials.hostrates:honeypot_rates",
        "iot-23": "flowlore.studies.materials.networks:iot_23",
        "iot-sentinel": "flowlore.studies.materials.captures:iot_sentinel",
        "iot-sentinel-network": "flowlore.studies.materials.networks:iot_sentinel_network",
        "laboratory": "flowlore.studies.materials.laboratory:laboratory",
        "laboratory-attacks": "flowlore.studies.materials.attacks:laboratory_attacks",
        "laboratory-elsewhere": "flowlore.studies.materials.networks:laboratory_elsewhere",
        "laboratory-floods": "flowlore.studies.materials.floods:laboratory_floods",
        "laboratory-network": "flowlore.studies.materials.networks:laboratory_network",
        "laboratory-rates": "flowlore.studies.materials.hostrates:laboratory_rates",
        "laboratory-to-iot-sentinel": "flowlore.studies.materials.transfer:laboratory_to_iot_sentinel",
        "laboratory-to-ndpi": "flowlore.studies.materials.transfer:laboratory_to_ndpi",
        "luflow": "flowlore.studies.materials.tables:luflow",
        "luflow-rates": "flowlore.studies.materials.hostrates:luflow_rates",
        "ndpi": "flowlore.studies.materials.captures:ndpi",
        "ndpi-network": "flowlore.studies.materials.networks:ndpi_network",
        "office": "flowlore.studies.materials.laboratory:office",
        "unsw-nb15": "flowlore.studies.materials.networks:unsw_nb15",
    },
)
