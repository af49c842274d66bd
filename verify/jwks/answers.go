package jwks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// Answers stand for the network within one context: for whoever explains a request
// where the servers cannot be asked. A gateway that serves requests never has any: what
// they say would stay in its caches. Addresses, sizes and failures are not those of the
// real servers.
type Answers struct {
	// Bodies are what a URL answers with, whatever the method, with status 200.
	Bodies map[string][]byte
	// Offline: what Bodies has not got cannot be had. Default: false, the server is asked.
	Offline bool
}

// ErrOffline is in the chain of every request that was not made because of Answers.
var ErrOffline = errors.New("not asked")

type answersKey struct{}

// WithAnswers has the requests of a context answered.
func WithAnswers(ctx context.Context, a *Answers) context.Context {
	return context.WithValue(ctx, answersKey{}, a)
}

// answered is the answer to a request, nil where the server is to be asked.
func answered(r *http.Request) (*Response, error) {
	a, ok := r.Context().Value(answersKey{}).(*Answers)
	if !ok {
		return nil, nil
	}
	if body, ok := a.Bodies[r.URL.String()]; ok {
		return &Response{Status: http.StatusOK, Header: http.Header{}, Body: body}, nil
	}
	if a.Offline {
		return nil, fmt.Errorf("%s: %w", r.URL.Redacted(), ErrOffline)
	}
	return nil, nil
}
