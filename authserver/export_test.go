package authserver

// Limits, for tests: most as numbers, so that a test fails where the code has another one.
const (
	MaxAtWork    = maxAtWork // TestFamilyBounds has the number
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
