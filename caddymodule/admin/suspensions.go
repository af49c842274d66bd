package admin

func (c *call) suspensions() (any, error) {
	return ofWorkspace(c, c.registry.Suspensions)
}
