package authserver

import "strings"

// UnfitError is a discovery document with which no client can be registered: all that it
// lacks, at once.
type UnfitError struct {
	// Lacks are what is wrong with it, each by itself. It is never empty.
	Lacks []error
	// Metadata is what could be read all the same, nil where the issuer could not.
	Metadata *Metadata
}

func (e *UnfitError) Error() string {
	texts := make([]string, len(e.Lacks))
	for i, one := range e.Lacks {
		texts[i] = one.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap gives the errors to errors.Is and errors.As.
func (e *UnfitError) Unwrap() []error { return e.Lacks }
