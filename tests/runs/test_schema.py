import pytest

from runback.errors import InputError
from runback.provenance.comparing import record_form
from runback.runs import schema

FORMS = [
    (schema.RunRecord, record_form.RecordForm),
    (schema.CodeRecord, record_form.CodeForm),
    (schema.SplitRecord, record_form.SplitForm),
    (schema.RunResult, record_form.ResultForm),
    (schema.EpochResult, record_form.EpochForm),
    (schema.BundleRun, record_form.BundleForm),
]

RESULT: schema.RunResult = {
    "format": schema.RESULT_FORMAT,
    "epochs": [{"epoch": 1, "metrics": {"loss": 0.5}}],
    "weights": {"000 dense/kernel": "a" * 64},
    "predictions": "b" * 64,
    "finished": True,
}


@pytest.mark.parametrize(("described", "form"), FORMS, ids=[form.__name__ for _, form in FORMS])
def test_what_a_type_promises_is_what_reading_checks(described, form):
    checked = {name for name, field in form.model_fields.items() if field.is_required()}
    assert set(form.model_fields) <= set(described.__annotations__)
    assert described.__required_keys__ <= checked


def test_a_result_is_read_as_it_was_written():
    assert schema.read_result(schema.write_result(RESULT), "result.json") == RESULT


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", r"result\.json is damaged: Expecting property name"),
        (b"[" * 100_000, r"result\.json is damaged: "),
        (b"{}", r"result\.json cannot be used: format: field required"),
        (b"[]", r"result\.json cannot be used: the whole: input should be a valid dictionary"),
    ],
)
def test_a_damaged_result_is_refused_in_one_line(content, message):
    with pytest.raises(InputError, match=message) as error:
        schema.read_result(content, "result.json")
    assert "\n" not in str(error.value)
