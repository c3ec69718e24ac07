"""The commands `llamadapro import` and `llamadapro campaign`."""
