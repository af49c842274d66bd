package registry

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/dn"
)

// Use is the last day on which a client was used: it has authenticated at an endpoint of the
// AS, or has managed its registration. It has a key of its own, which ends no cached decision
// of the guard. A crash may lose it, see MarkUsed.
type Use struct {
	Schema int `json:"v"`
	// Day is days since 1970-01-01 (UTC).
	Day int64 `json:"day"`
	// Certificate is the one that the client came with, the first of that day; nil for none.
	Certificate *SeenCertificate `json:"certificate,omitempty"`
}

// SeenCertificate is what is kept of the certificate of a Use.
type SeenCertificate struct {
	// Thumbprint is x5t#S256 (RFC 8705 3.1), Serial the serial number in lower-case hexadecimal.
	Thumbprint string `json:"thumbprint"`
	Serial     string `json:"serial"`
	// Expires is its NotAfter, seconds since 1970; 0 for none before the year 10000.
	Expires int64 `json:"expires,omitempty"`
	// CASPKI is the SHA-256 digest of the public key (SubjectPublicKeyInfo) of the CA that has
	// issued it, base64. Anchor is the subject of the CA that the site trusts, as RFC 4514
	// text. Both are empty where only the leaf was known.
	CASPKI string `json:"ca_spki,omitempty"`
	Anchor string `json:"anchor,omitempty"`
}

func useKey(workspace, clientID string) string { return key("used", workspace, clientID) }

// DayOf is the day of a time, days since 1970-01-01 (UTC).
func DayOf(t time.Time) int64 { return t.Unix() / secondsPerDay }

const secondsPerDay = 24 * 60 * 60

// DayTime is the beginning of a day.
func DayTime(day int64) time.Time { return time.Unix(day*secondsPerDay, 0).UTC() }

func seenCertificate(c *verify.Certificate) *SeenCertificate {
	if c == nil {
		return nil
	}
	s := &SeenCertificate{Thumbprint: c.Thumbprint}
	if c.Leaf != nil {
		if c.Leaf.SerialNumber != nil {
			s.Serial = hex.EncodeToString(c.Leaf.SerialNumber.Bytes())
		}
		if c.Leaf.NotAfter.Year() <= maxYear {
			s.Expires = c.Leaf.NotAfter.Unix()
		}
	}
	if n := len(c.Authorities); n > 0 {
		s.CASPKI = verify.SPKIDigest(c.Authorities[0])
		s.Anchor = dn.SubjectText(c.Authorities[n-1].RawSubject)
	}
	return s
}

func readUse(data []byte) (*Use, error) {
	var u Use
	if err := json.Unmarshal(data, &u); err != nil {
		return nil, fmt.Errorf("registry: unreadable record of a client's use: %w", err)
	}
	if u.Schema > schema {
		return nil, fmt.Errorf("registry: record of a client's use of schema %d, this version knows %d: run the newer version", u.Schema, schema)
	}
	return &u, nil
}

// useOf is the last use of a client, nil for none that is known. One that waits to be written
// counts. A damaged record must not hide its client.
func (r *Registry) useOf(v getter, c *Client) (*Use, error) {
	if u := r.uses.waiting(c.Workspace, c.ClientID); u != nil {
		return u, nil
	}
	data, err := get(v, useKey(c.Workspace, c.ClientID))
	if err != nil || data == nil {
		return nil, err
	}
	u, err := readUse(data)
	if err != nil {
		return nil, nil
	}
	return u, nil
}
