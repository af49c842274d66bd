package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// document is what a client was registered with, apart from its record because it is
// large and seldom read: the request as received, and the certificate that came with it.
type document struct {
	request     []byte
	certificate []byte
}

// documentOf is that of a registration. A certificate that cannot be read is left out.
func documentOf(in Registration) (d document, err error) {
	d.request = in.Request.Raw
	if in.Certificate == nil || in.Certificate.Leaf == nil {
		return d, nil
	}
	if c, unreadable := in.Certificate.ForPolicy(); unreadable == nil {
		d.certificate, err = json.Marshal(c)
	}
	return d, err
}

func documentKey(c *Client) string    { return key("document", c.Document) }
func certificateKey(c *Client) string { return key("certificate", c.Document) }

// put writes the document of a client.
func (d document) put(w Writer, c *Client) error {
	err := w.Put(documentKey(c), d.request)
	if d.certificate != nil {
		err = errors.Join(err, w.Put(certificateKey(c), d.certificate))
	}
	return err
}

// deleteDocument removes what put has written.
func deleteDocument(w Writer, c *Client) error {
	if c.Document == "" {
		return nil
	}
	return errors.Join(w.Delete(documentKey(c)), w.Delete(certificateKey(c)))
}

// Stored is a client as it was registered.
type Stored struct {
	Client *Client
	// Claims are those of its request, Statement those of the software statement; none
	// where none was demanded, and of a client that was imported without them.
	Claims, Statement strictjson.Object
	// Certificate is the one that the request came with. nil where none was demanded,
	// and for a client of a version that did not keep it.
	Certificate *verify.PolicyCertificate
	// Others is how many other clients its software has in the workspace.
	Others int
}

// Registrations returns at most limit clients of a workspace with what they were
// registered with, the oldest first, and the cursor to go on with, empty at the end.
func (r *Registry) Registrations(ctx context.Context, workspace, cursor string, limit int) (list []Stored, next string, err error) {
	prefix := indexPrefix(ByTime, workspace, "")
	return page(ctx, r, prefix, cursor, limit, func(v Reader, e Entry) (Stored, error) {
		c, err := loadClient(v, workspace, timeEntryID(e.Key[len(prefix):]))
		if err != nil {
			return Stored{}, err
		}
		return r.readStored(v, c)
	})
}

func (r *Registry) readStored(v Reader, c *Client) (s Stored, err error) {
	s.Client = c
	request, err := requestOf(v, c)
	if err != nil {
		return s, err
	}
	if request != nil {
		if s.Claims, err = verify.StoredClaims(request); err != nil {
			return s, fmt.Errorf("stored request of registration %s: %w", c.ID, err)
		}
	}
	if _, s.Statement, err = c.Statement(request); err != nil {
		return s, err
	}
	var text []byte
	if c.Document != "" {
		text, err = get(v, certificateKey(c))
	}
	if err == nil && text != nil {
		err = json.Unmarshal(text, &s.Certificate)
	}
	if err != nil {
		return s, fmt.Errorf("stored certificate of registration %s: %w", c.ID, err)
	}
	if s.Others, err = r.clientsOf(v, c.software()); err == nil && c.live() {
		s.Others = max(s.Others-1, 0)
	}
	return s, err
}

// ForPolicy is the client as policies see it; nil for nil.
func (c *Client) ForPolicy() *verify.PolicyClient {
	if c == nil {
		return nil
	}
	metadata := c.Metadata
	return &verify.PolicyClient{
		ClientID: c.ClientID, SoftwareID: c.SoftwareID, OrgID: c.OrgID, ClientName: c.ClientName, Directory: c.Directory,
		IssuedAt: time.Unix(c.IssuedAt, 0).UTC(), UpdatedAt: time.Unix(max(c.IssuedAt, c.UpdatedAt), 0).UTC(), Thumbprint: c.Thumbprint,
		Metadata: &metadata,
	}
}
