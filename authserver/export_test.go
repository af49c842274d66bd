package authserver

// Limits, for tests: as numbers, so that a test fails where the code has another one.
const (
	MaxAtWork    = 256
	TripAfter    = 5
	MostOfOne    = 3
	OpenFor      = openFor
	TrialsAtOnce = 3
	MaxDoubtful  = 4096
)

// ErrOpen and ErrTrials are why the breaker refuses.
var (
	ErrOpen   = errOpen
	ErrTrials = errTrials
)
