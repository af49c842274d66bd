package engine

import (
	"sync"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// Calls counts the calls that are inside a Store, so that Close can refuse new
// ones and wait for the rest. The zero value is open.
type Calls struct {
	// mu orders Begin before or after Close: once Close has it, the count only falls.
	mu      sync.RWMutex
	closed  bool
	running sync.WaitGroup
}

// Begin admits a call, which must End. After Close the error is registry.ErrClosed.
func (c *Calls) Begin() error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.closed {
		return registry.ErrClosed
	}
	c.running.Add(1)
	return nil
}

// End must be deferred, so that a panicking function does not block Close for ever.
func (c *Calls) End() { c.running.Done() }

// Close refuses calls from now on. It does not wait; Wait does. Only the first
// Close returns nil, every other registry.ErrClosed.
func (c *Calls) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return registry.ErrClosed
	}
	c.closed = true
	return nil
}

// Wait returns when all admitted calls have ended. Only after Close.
func (c *Calls) Wait() { c.running.Wait() }
