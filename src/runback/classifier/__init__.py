"""The image classifier: data, augmentation, models, training, evaluation, serving."""
