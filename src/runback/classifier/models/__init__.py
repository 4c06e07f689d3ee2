"""Networks: functions (input_shape, num_classes, *, knobs) that return a keras.Model."""
