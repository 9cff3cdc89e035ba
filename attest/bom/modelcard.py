"""CycloneDX model card, component data and data governance: what :mod:`cyclonedx` has no types for.

The shapes are those of the CycloneDX 1.6 and 1.7 schemas, which agree on these parts. Names are the
schema's; see :mod:`attest.bom.components` for how they become JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from attest.bom.components import (
    Attachment,
    Contact,
    Organization,
    Property,
)

APPROACHES: Final = (
    "supervised",
    "unsupervised",
    "reinforcement-learning",
    "semi-supervised",
    "self-supervised",
)
DATA_TYPES: Final = ("source-code", "configuration", "dataset", "definition", "other")
ACTIVITIES: Final = (
    "design", "data-collection", "data-preparation", "training", "fine-tuning", "validation",
    "deployment", "inference", "other",
)  # fmt: skip


# -- model card ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Approach:
    """How it learned; one of :data:`APPROACHES`."""

    type: str

    def __post_init__(self) -> None:
        if self.type not in APPROACHES:
            raise ValueError(f"{self.type!r} is not an approach to learning")


@dataclass(frozen=True, slots=True)
class DatasetRef:
    """A dataset that is a component of the same BOM."""

    ref: str

    def as_json(self) -> dict[str, str]:
        return {"ref": self.ref}


@dataclass(frozen=True, slots=True)
class Format:
    """What goes in or comes out: ``string``, ``image``, ``embedding``."""

    format: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelParameters:
    """``modelCard.modelParameters``.

    Attributes:
        architecture_family: such as ``bert``; what ``config.json`` calls ``model_type``.
        model_architecture: such as ``BertModel``.
        datasets: references to components, or descriptions in place.
    """

    approach: Approach | None = None
    task: str | None = None
    architecture_family: str | None = None
    model_architecture: str | None = None
    datasets: tuple[DatasetRef | ComponentData, ...] = ()
    inputs: tuple[Format, ...] = ()
    outputs: tuple[Format, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceInterval:
    """Both ends as texts, as the schema has them."""

    lower_bound: str | None = None
    upper_bound: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceMetric:
    """One result. ``value`` is a text in the schema; ``slice`` is the part that was measured."""

    type: str
    value: str | None = None
    slice: str | None = None
    confidence_interval: ConfidenceInterval | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantitativeAnalysis:
    """``modelCard.quantitativeAnalysis``."""

    performance_metrics: tuple[PerformanceMetric, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """An ethical or other risk and what was done about it."""

    name: str
    mitigation_strategy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FairnessAssessment:
    """Who may be harmed or helped."""

    group_at_risk: str | None = None
    benefits: str | None = None
    harms: str | None = None
    mitigation_strategy: str | None = None


@dataclass(frozen=True, slots=True)
class Energy:
    """An amount of energy; the schema knows no unit but kWh."""

    value: float

    def as_json(self) -> dict[str, Any]:
        return {"value": self.value, "unit": "kWh"}


@dataclass(frozen=True, slots=True)
class Co2:
    """An amount of CO2; the schema knows no unit but tonnes of equivalent."""

    value: float

    def as_json(self) -> dict[str, Any]:
        return {"value": self.value, "unit": "tCO2eq"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyProvider:
    """Who gave the energy, from which source (``coal``, ``solar``, ``unknown``, …)."""

    organization: Organization
    energy_source: str
    energy_provided: Energy
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyConsumption:
    """What one activity took; the schema demands the providers and the cost."""

    activity: str
    energy_providers: tuple[EnergyProvider, ...]
    activity_energy_cost: Energy
    co2_cost_equivalent: Co2 | None = None
    properties: tuple[Property, ...] = ()

    def __post_init__(self) -> None:
        if self.activity not in ACTIVITIES:
            raise ValueError(f"{self.activity!r} is not an activity")
        if not self.energy_providers:
            raise ValueError("energy comes from at least one provider")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentalConsiderations:
    """``modelCard.considerations.environmentalConsiderations``."""

    energy_consumptions: tuple[EnergyConsumption, ...] = ()
    properties: tuple[Property, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Considerations:
    """``modelCard.considerations``: what its makers say about its use."""

    users: tuple[str, ...] = ()
    use_cases: tuple[str, ...] = ()
    technical_limitations: tuple[str, ...] = ()
    performance_tradeoffs: tuple[str, ...] = ()
    ethical_considerations: tuple[Risk, ...] = ()
    environmental_considerations: EnvironmentalConsiderations | None = None
    fairness_assessments: tuple[FairnessAssessment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """``component.modelCard`` of a ``machine-learning-model``."""

    ref: str | None = None
    model_parameters: ModelParameters | None = None
    quantitative_analysis: QuantitativeAnalysis | None = None
    considerations: Considerations | None = None
    properties: tuple[Property, ...] = ()


# -- data ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """One party of data governance: exactly one of an organization and a person."""

    organization: Organization | None = None
    contact: Contact | None = None

    def __post_init__(self) -> None:
        if (self.organization is None) == (self.contact is None):
            raise ValueError("a party is an organization or a person")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataGovernance:
    """Who keeps, looks after and owns data."""

    custodians: tuple[Party, ...] = ()
    stewards: tuple[Party, ...] = ()
    owners: tuple[Party, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DataContents:
    """Where the data are, or a short text of them."""

    attachment: Attachment | None = None
    url: str | None = None
    properties: tuple[Property, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentData:
    """One entry of ``component.data``, or a dataset described in place.

    Attributes:
        type: one of :data:`DATA_TYPES`.
        classification: free text, such as ``public`` or a class of personal data.
        sensitive_data: kinds of sensitive data that it holds.
    """

    ref: str | None = None
    type: str
    name: str | None = None
    contents: DataContents | None = None
    classification: str | None = None
    sensitive_data: tuple[str, ...] = ()
    description: str | None = None
    governance: DataGovernance | None = None

    def __post_init__(self) -> None:
        if self.type not in DATA_TYPES:
            raise ValueError(f"{self.type!r} is not a type of data")
