package admin

import "github.com/caddy-dcr/caddy-dcr/registry"

// epoch is what the store may have forgotten, and whether an operator has looked.
func (c *call) epoch() (any, error) {
	if _, err := c.query(nil); err != nil {
		return nil, err
	}
	return c.showEpoch()
}

func (c *call) showEpoch() (_ any, err error) {
	e := c.registry.Epoch()
	c.tag, err = c.registry.EpochTag(c.r.Context())
	return struct {
		registry.Epoch
		Unconfirmed bool `json:"unconfirmed"`
	}{e, e.Unconfirmed()}, err
}

// confirmEpoch is the operator's word that what was lost is dealt with.
func (c *call) confirmEpoch() (any, error) {
	if _, err := c.query(nil); err != nil {
		return nil, err
	}
	act, err := c.act()
	if err != nil {
		return nil, err
	}
	if err := c.registry.ConfirmEpoch(c.r.Context(), act); err != nil {
		return nil, err
	}
	return c.showEpoch()
}
