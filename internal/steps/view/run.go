package view

import "belay/internal/steps"

// run is a run with what there is to say about it.
type run struct{ *steps.State }
