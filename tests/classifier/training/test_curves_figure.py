import io

from PIL import Image

from runback.classifier.training.curves_figure import plot_curves

HISTORY = [
    {"loss": 2.0, "val_loss": 2.2, "accuracy": 0.2, "val_accuracy": 0.1},
    {"loss": 1.0, "val_loss": 1.5, "accuracy": 0.6, "val_accuracy": 0.5},
]


def test_loss_and_accuracy_are_drawn_over_epochs_from_1() -> None:
    loss, accuracy = plot_curves(HISTORY).axes
    assert [list(line.get_ydata()) for line in loss.lines] == [[2.0, 1.0], [2.2, 1.5]]
    assert [list(line.get_ydata()) for line in accuracy.lines] == [[0.2, 0.6], [0.1, 0.5]]
    assert list(loss.lines[0].get_xdata()) == [1, 2]
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["training", "validation"]
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("loss", "accuracy")


def test_one_epoch_is_enough_for_a_picture() -> None:
    buffer = io.BytesIO()
    plot_curves(HISTORY[:1]).savefig(buffer, format="png")
    assert Image.open(buffer).size == (1000, 400)


def test_no_global_figure_is_left_behind() -> None:
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    plot_curves(HISTORY)
    assert plt.get_fignums() == before
