package registry

import (
	"context"
	"time"
)

// Nobody is unused on a day on which nothing was marked. So the store knows since when marks
// are kept without a gap, and a client is unused from then on at the earliest: not since it
// was registered, where a version without marks, a gateway that was off, a clock that was
// wrong or a restored copy lies between.

// useDays is that.
type useDays struct {
	Schema int `json:"v"`
	// From is the first day of marks without a gap, Until the last, as in Use.
	From  int64 `json:"from"`
	Until int64 `json:"until"`
}

const (
	useDaysKey = "store/used"
	// maxUseGap is how many days the gateway may be off, or its clock be ahead, before days
	// are counted anew.
	maxUseGap = 2
)

// next is what is known on a day.
func (d useDays) next(today int64) useDays {
	if d.From == 0 || today > d.Until+maxUseGap || today < d.Until-1 {
		d.From = today
	}
	d.Schema, d.Until = schema, today
	return d
}

// keepUseDays notes that marks are kept today.
func (r *Registry) keepUseDays(ctx context.Context) error {
	today := DayOf(r.now())
	var days useDays
	err := r.store.View(ctx, func(v Reader) error {
		days = useDays{}
		return readOwn(v, useDaysKey, &days, &days.Schema)
	})
	if err != nil {
		return err
	}
	if next := days.next(today); next != days {
		days = next
		if err := r.store.Update(ctx, func(w Writer) error { return putRecord(w, useDaysKey, &next) }); err != nil {
			return err
		}
	}
	r.usesFrom.Store(days.From)
	return nil
}

// UsesFrom is the first day of which it is known which clients were used.
func (r *Registry) UsesFrom() int64 {
	from := r.usesFrom.Load()
	if from == 0 {
		from = DayOf(r.now()) // nobody has looked yet
	}
	if e := r.Epoch(); e.At != 0 { // the marks of a copy end with it
		from = max(from, DayOf(time.Unix(e.Since, 0)))
	}
	return from
}

// countsFrom is the day on which a client counts as used that has no mark.
func (r *Registry) countsFrom(c *Client) int64 {
	return max(DayOf(time.Unix(max(c.IssuedAt, 0), 0)), r.UsesFrom())
}

// unusedSince is the day on which a client was last used, as far as that is known: the day of
// its mark, but not before those from which marks are kept. A mark of a day that is yet to
// come says nothing.
func (r *Registry) unusedSince(c *Client) int64 {
	since := r.countsFrom(c)
	if u := c.Use; u != nil && u.Day <= DayOf(r.now())+1 {
		since = max(since, u.Day)
	}
	return since
}
