from dataclasses import replace

import pytest
import yaml

from runback.classifier.evaluation.card.card_statements import CardStatements, read_statements
from runback.classifier.evaluation.card.model_card import (
    CardApproval,
    CardFacts,
    CardReview,
    html_card,
    markdown_card,
)
from runback.classifier.evaluation.card.regulation_map import ANNEX_IV, MEASURE
from runback.errors import InputError

MEASURED = {"value": 0.91234, "low": 0.9, "high": 0.92, "n": 1000}


@pytest.fixture
def facts():
    return CardFacts(
        run_id="ab" * 16,
        has_changed_code="false",
        record={
            "code": {"commit": "c0ffee"},
            "packages": {"keras": "3.15.0"},
            "python": {"version": "3.11.7"},
            "seeds": {"seed": 3},
            "choices": {"model": "deep_cnn", "data": "digits"},
            "data": {"train": {"sha256": "f" * 64, "shape": [800, 8, 8, 1], "class_counts": {}}},
            "data_summary": {"notes": ["2 images | are <broken>"]},
        },
        config={"data": {"_target_": "runback.classifier.data.digits.load"}, "training": {"epochs": 3}},
        evaluation={
            "n": 1000,
            "opened": 1,
            "images_sha256": "5" * 64,
            "quality": {"accuracy": MEASURED, "macro_f1": MEASURED, "classes": [], "notes": ["Fine."]},
        },
    )


def test_the_front_matter_is_what_the_hub_reads(facts):
    text = markdown_card(facts, CardStatements(license="apache-2.0", name="Digits"))
    _, front, body = text.split("---\n", 2)
    read = yaml.safe_load(front)
    assert read["license"] == "apache-2.0"
    assert read["library_name"] == "keras"
    (model,) = read["model-index"]
    assert model["name"] == "Digits"
    (result,) = model["results"]
    assert result["dataset"]["name"] == "digits"
    assert result["metrics"][0] == {"type": "accuracy", "value": 0.91234, "name": "accuracy"}
    assert body.strip().startswith("# Digits")


def test_numbers_come_from_the_record_and_what_nobody_states_is_said(facts):
    text = markdown_card(facts, CardStatements())
    assert "| accuracy | 0.9123 | 0.9000 to 0.9200 | 1,000 |" in text
    assert "- not stated" in text
    assert "No gates were checked." in text
    assert "Nobody has reviewed it." in text
    assert "c0ffee" in text


def test_texts_of_others_are_text(facts):
    said = CardStatements(intended_use=["<script>alert(1)</script> | a"], out_of_scope=["Identifying people"])
    page, text = html_card(facts, said), markdown_card(facts, said)
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
    assert "<script>" not in text
    assert "Identifying people" in text
    assert "\\|" in text


def test_the_appendix_claims_nothing_and_has_each_item_once(facts):
    text = markdown_card(facts, CardStatements())
    assert "claims no compliance" in text
    for table in (ANNEX_IV, MEASURE):
        items = [item.number for item in table]
        assert len(set(items)) == len(items)
    assert len(MEASURE) == 22
    for table in (ANNEX_IV, MEASURE):
        for item in table:
            assert item.number in text
            assert item.answer(set())
            assert item.answer({"Use", "Limits", "Review", "Gates"})
    assert text.count("for a person to write") >= 20


def test_gates_reviews_and_a_waiver_stand_in_it(facts):
    approval = CardApproval(
        gates=[
            (
                "strict: failed 2 of 2",
                "Ada",
                "2030-01-01",
                [("quality.accuracy >= 0.95", 0.91234, False), ("groups.class_gap.high < 0.1", None, False)],
            )
        ],
        reviews=[
            CardReview("Bo", "2026-11-30", "cats look odd", "", is_current=True),
            CardReview("Cy", "2026-11-01", "", "2027-01-01", is_current=False),
        ],
        waivers=["Ada promoted it on 2026-11-30, although gates strict: failed 2 of 2. Reason: in a hurry"],
    )
    text = markdown_card(replace(facts, approval=approval), CardStatements())
    assert "| quality.accuracy &gt;= 0.95 | 0.9123 | failed |" in text
    assert "| not measured | failed |" in text
    assert "cats look odd" in text
    assert "an earlier one" in text
    assert "in a hurry" in text
    assert "No gates were checked" not in text


def test_texts_of_several_lines_stay_in_one(facts):
    text = markdown_card(facts, CardStatements(data="Taken in 2020.\nBy us.\n"))
    assert "Taken in 2020. By us.\n" in text


def test_statements_are_read_and_checked(tmp_path):
    assert read_statements(tmp_path / "card.yaml") == CardStatements()
    (tmp_path / "card.yaml").write_text("intended_use: [digits]\nlicense: mit\n")
    assert read_statements(tmp_path / "card.yaml").intended_use == ["digits"]
    (tmp_path / "card.yaml").write_text("purpose: x\n")
    with pytest.raises(InputError, match=r"purpose: .*a card has name, license"):
        read_statements(tmp_path / "card.yaml")
    (tmp_path / "card.yaml").write_text("license: [")
    with pytest.raises(InputError, match="cannot be read"):
        read_statements(tmp_path / "card.yaml")
