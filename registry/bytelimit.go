package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// DefaultBytesPerOrganisation is what the requests of an organisation may write in a day
// where nothing is said: some thousand registrations.
const DefaultBytesPerOrganisation = 100 << 20

// writtenBytes is what one organisation has had written on one day (UTC). The store
// forgets it after that.
type writtenBytes struct {
	Schema int   `json:"v"`
	Bytes  int64 `json:"bytes"`
}

// bookkeeping is what a registration or an update writes beside the request, the
// certificate and the client's record: reservations, indexes, outbox and audit trail.
const bookkeeping = 8 << 10

// maxRecord is what a client's record has beside its metadata, but for addresses.
const maxRecord = 2 << 10

// cost is what a change writes at most: the document once, and the record when it begins
// and when it ends, of which the client and the AS have a word each.
func (d document) cost(record int) int64 {
	return int64(len(d.request)+len(d.certificate)+2*record) + bookkeeping
}

// charge writes down what a change of an organisation's client will write, before it
// does. A change that fails afterwards has written it all the same.
func charge(w Writer, ws Workspace, who string, bytes int64, now time.Time) error {
	if ws.BytesPerOrganisation <= 0 || bytes == 0 {
		return nil
	}
	now = now.UTC()
	tomorrow := time.Date(now.Year(), now.Month(), now.Day()+1, 0, 0, 0, 0, time.UTC)
	k := key("written", ws.Name, now.Format(time.DateOnly), who)
	data, err := get(w, k)
	if err != nil {
		return err
	}
	var sum writtenBytes
	if data != nil {
		if err := json.Unmarshal(data, &sum); err != nil {
			return fmt.Errorf("registry: unreadable %s: %w", k, err)
		}
	}
	if sum.Bytes+bytes > ws.BytesPerOrganisation {
		e := refusal.New(refusal.TooManyRequests, "bytes_per_organisation",
			"requests of this organisation may write %d bytes a day, and that is used up; go on after %s, reading and deleting go on now", ws.BytesPerOrganisation, stamp(tomorrow.Unix()))
		e.RetryAfter = tomorrow.Sub(now)
		return e
	}
	sum.Schema, sum.Bytes = schema, sum.Bytes+bytes
	return putExpiringRecord(w, k, sum, tomorrow.Add(skew))
}

// payer is whose bytes a request's are: those of the organisation that the directory
// names, as far as it sends its requests itself. Who sends on another's, captured, pays
// for it: the organisation of the certificate is part of the name. Without software
// statements nobody names an organisation, and without one in the certificate its DN counts;
// without that, all are one.
func payer(in Registration) string {
	s := in.Request.Statement
	who := s.Issuer.Name + "\x00" + s.OrgID + "\x00" + in.Certificate.Holder()
	if s.None && in.Certificate != nil && in.Certificate.Holder() == "" {
		who = "\x00" + in.Certificate.Subject.Canonical()
	}
	// Hashed, because an org_id or a DN may be longer than a key can be.
	sum := sha256.Sum256([]byte(who))
	return hex.EncodeToString(sum[:16])
}
