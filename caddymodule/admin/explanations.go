package admin

// explanations are what was checked of refused requests with one support code.
func (c *call) explanations() (any, error) {
	q, err := c.query([]string{"code"})
	if err != nil {
		return nil, err
	}
	found, err := c.registry.Explanations(c.r.Context(), q["code"])
	if err != nil {
		return nil, err
	}
	return page{Entries: found}, nil
}
