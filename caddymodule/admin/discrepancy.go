package admin

import "github.com/caddy-dcr/caddy-dcr/registry"

func (c *call) discrepancies() (any, error) {
	return ofWorkspace(c, c.registry.Discrepancies)
}

// discrepancy shows one.
func (c *call) discrepancy() (any, error) {
	d, err := c.namedDiscrepancy()
	if err != nil {
		return nil, err
	}
	found, tag, err := c.registry.Discrepancy(c.r.Context(), d)
	c.tag = tag
	return found, c.absent(err)
}

// dismiss takes one off the list.
func (c *call) dismiss() (any, error) {
	d, err := c.namedDiscrepancy()
	if err != nil {
		return nil, err
	}
	act, err := c.act()
	if err != nil {
		return nil, err
	}
	return nil, c.absent(c.registry.Dismiss(c.r.Context(), d, act))
}

// namedDiscrepancy is the one that the path names.
func (c *call) namedDiscrepancy() (d registry.Discrepancy, err error) {
	d = registry.Discrepancy{Kind: c.path["kind"], Registration: c.path["registration"]}
	if _, err := c.query(nil, "workspace"); err != nil {
		return d, err
	}
	if d.Workspace, err = c.anyWorkspace(); err != nil {
		return d, err
	}
	if err := d.Check(); err != nil {
		return d, badRequest("%w", err)
	}
	return d, nil
}
