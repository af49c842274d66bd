package admin

import (
	"github.com/caddy-dcr/caddy-dcr/registry"
)

// epoch is what the store may have forgotten, and whether an operator has looked.
func (c *call) epoch() (any, error) {
	if _, err := c.query(nil); err != nil {
		return nil, err
	}
	e := c.registry.Epoch()
	return struct {
		registry.Epoch
		Unconfirmed bool `json:"unconfirmed"`
	}{e, e.Unconfirmed()}, nil
}

// confirmEpoch is the operator's word that what was lost is dealt with.
func (c *call) confirmEpoch() (any, error) {
	if _, err := c.query(nil); err != nil {
		return nil, err
	}
	in, err := c.body("reason")
	if err != nil {
		return nil, err
	}
	if err := registry.CheckConfirmation(in["reason"]); err != nil {
		return nil, badRequest("%w", err)
	}
	return nil, c.registry.ConfirmEpoch(c.r.Context(), registry.Act{Reason: in["reason"]})
}
