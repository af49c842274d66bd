package authserver

// Limits, for tests.
const (
	MaxAtWork    = maxAtWork
	MaxOfOne     = maxOfOne
	TripAfter    = tripAfter
	MostOfOne    = mostOfOne
	OpenFor      = openFor
	TrialsAtOnce = trialsAtOnce
	MaxDoubtful  = maxDoubtful
)

// ErrOpen and ErrTrials are why the breaker refuses.
var (
	ErrOpen   = errOpen
	ErrTrials = errTrials
)
