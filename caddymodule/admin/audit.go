package admin

import (
	"time"
)

// audit lists what was changed, the oldest first, from a time on.
func (c *call) audit() (any, error) {
	q, err := c.query(nil, "workspace", "since", "cursor", "limit")
	if err == nil {
		err = c.filter()
	}
	if err != nil {
		return nil, err
	}
	n, err := limit(q["limit"])
	if err != nil {
		return nil, err
	}
	var since time.Time
	if text := q["since"]; text != "" {
		if since, err = time.Parse(time.RFC3339, text); err != nil || q["workspace"] == "" || since.Year() < 1970 || since.Year() > 2261 {
			return nil, badRequest("since: a time like 2026-01-31T00:00:00Z, of one workspace")
		}
	}
	entries, next, err := c.registry.Audit(c.r.Context(), q["workspace"], since, q["cursor"], n)
	return page{Entries: nonNil(entries), Next: next}, err
}
