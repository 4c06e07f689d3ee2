"""Maps a card and its run to what two documents on AI ask for: no claim that they are fulfilled.

Annex IV of Regulation (EU) 2024/1689 (the AI Act) lists the technical documentation of high-risk systems; the
MEASURE function of the NIST AI Risk Management Framework 1.0 (NIST AI 100-1, 2023) what is to be measured.
The items are shortened here.
"""

from typing import Final

PERSON: Final = "for a person to write"
GATES, REVIEWS = "Gates, where any were checked", "Review, where somebody has looked"
NONE: Final = "not applicable: the model alone is no product"

ANNEX_IV: Final = (
    ("1 (a)", "intended purpose, provider, version", "Use; Run"),
    ("1 (b)", "interaction with other hardware and software", PERSON),
    ("1 (c)", "versions of software", "Run: packages in record/record.json and record/uv.lock"),
    ("1 (d)", "forms in which it is placed on the market", PERSON),
    ("1 (e)", "hardware it is to run on", PERSON),
    ("1 (f)", "photographs of the product", NONE),
    ("1 (g)", "user interface", PERSON),
    ("1 (h)", "instructions for use", PERSON),
    ("2 (a)", "methods and steps of development, models trained before", "Run; Training"),
    ("2 (b)", "design choices, what is optimised for", "Training; its reasons are " + PERSON),
    ("2 (c)", "architecture, computing resources", "Training; architecture.json; model_summary.txt"),
    (
        "2 (d)",
        "data: provenance, selection, labelling, cleaning",
        "Data; provenance and labelling are " + PERSON,
    ),
    ("2 (e)", "human oversight", "Use, where it is stated; else " + PERSON),
    ("2 (f)", "changes determined beforehand", PERSON),
    ("2 (g)", "validation and testing: data, metrics, logs", "Data; Measurements; evaluation.json"),
    ("2 (h)", "cybersecurity", PERSON),
    (
        "3",
        "capabilities, limits, accuracy for groups, unintended outcomes",
        "Measurements: groups; limits are " + PERSON,
    ),
    ("4", "why these metrics are appropriate", PERSON),
    ("5", "risk management system", PERSON),
    ("6", "changes through the lifecycle", "Run: commit and changes; the registry's versions"),
    ("7", "harmonised standards applied", PERSON),
    ("8", "EU declaration of conformity", PERSON),
    (
        "9",
        "monitoring after it is placed on the market",
        REVIEWS + "; the plan is " + PERSON,
    ),
)

MEASURE: Final = (
    ("1.1", "approaches and metrics for the largest risks are selected", GATES + "; the choice is " + PERSON),
    ("1.2", "metrics and controls are assessed regularly", REVIEWS),
    ("1.3", "assessors who did not build it take part", REVIEWS + "; " + PERSON),
    ("2.1", "test sets, metrics and tools are documented", "Data; Measurements; Run"),
    ("2.2", "evaluations with human subjects", PERSON),
    (
        "2.3",
        "performance in conditions like those of use",
        "Measurements: corruptions, moves; the conditions are " + PERSON,
    ),
    ("2.4", "behaviour in production is monitored", PERSON),
    ("2.5", "valid and reliable; limits of generalizability", "Measurements; limits are " + PERSON),
    ("2.6", "safety risks", PERSON),
    ("2.7", "security and resilience", PERSON),
    ("2.8", "transparency and accountability", REVIEWS + "; " + GATES),
    ("2.9", "the model is explained, validated and documented", "Measurements: inputs; this card"),
    ("2.10", "privacy", "Measurements: membership; the rest is " + PERSON),
    ("2.11", "fairness and bias", "Measurements: groups, for the groups that were given"),
    ("2.12", "environmental impact", "Cost, as far as it was measured"),
    ("2.13", "effectiveness of these measurements", PERSON),
    ("3.1", "risks are tracked over time", REVIEWS),
    ("3.2", "risks that are hard to measure", PERSON),
    ("3.3", "feedback of users", "runback serve --feedback, where it is used"),
    ("4.1", "measurements fit the context of use", PERSON),
    ("4.2", "results are confirmed by domain experts", REVIEWS + "; " + PERSON),
    (
        "4.3",
        "improvements and declines are measured",
        "Measurements against the champion, at runback promote",
    ),
)
