"""The engines that trials run on."""
