package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// Keys are slash-separated, each part escaped, so that no workspace, client_id or
// claim can reach into another's place:
//
//	client/<workspace>/<registration>          the record
//	document/<id>                              the request as received, with its software statement
//	id/<workspace>/<client_id>                 the registration, or empty once deleted
//	alike/<workspace>/<folded client_id>       empty, where the client_id folds to another text; of an imported client its registration
//	index/<name>/<workspace>/<value>/<reg>     one entry per index, empty
//	token/<workspace>/<hash>                   registration tokens, reserved or used
//	jti/<workspace>/<iss>/<jti>                requests, reserved or used
//	bound/<workspace>/<hash>                   the certificate that an access token is bound to
//	assertion/<workspace>/<reg>/<hash>         client assertions that were used
//	repeat/<workspace>/<hash>                  a registration, for POSTs that repeat it
//	outbox/<due>/<id>, later/<due>/<id>        work left for the AS, see below
//	divergence/<workspace>/<kind>/<reg>        see Discrepancy
//	reconcile/<workspace>                      see Reconciliation
//	suspended/<workspace>/<kind>/<value>       see Suspension
//	proposal/<workspace>/<action>/<kind>/<value>  see Proposal
//	discovery/<workspace>                      the AS's last good document
//	jwks/<scope>/<hash>                        see KeptKeys
//	crl/<hash>, crl/<hash>/<sum>/<piece>       see KeptCRL
//	discovered/<workspace>                     of which AS that is, see Documents
//	audit/<workspace>/<time>/<id>              see AuditEntry
//	history/<workspace>/<reg>/<-time>/<id>     the key of an entry of the audit trail about a client, the newest first
//	used/<workspace>/<client_id>               the day on which a client was last used, see Use
//	finding/<workspace>/<reg>                  what speaks against a client, see ClientFindings
//	pass/<workspace>                           how far looking again at its clients is, see TrustPass
//	stopped/<workspace>                        how many clients rules have suspended today, see stopped
//	software/<workspace>/<directory>/<software_id>  how many clients a software has, see software
//	written/<workspace>/<day>/<hash>           what an organisation has had written, see writtenBytes
//	making/...                                 of a version that counted otherwise; not read any more
//	explanation/<group>/<slot>                 see Explanation
//	import/<id>                                an import of clients, see ImportRecord
//	imported/<import>/<workspace>/<client_id>  a client that it has written, see importedEntry
//	store/keyset, store/epoch, store/restored  about the store itself, see binding, Epoch, restores
//	store/unopened                             a restore from a backup before the first start, see unopened
//	store/used                                 since when uses are marked, see useDays
//	loss/<id>                                  the engine's, see Loss
func key(parts ...string) string {
	var b strings.Builder
	n := len(parts)
	for _, p := range parts {
		n += len(p)
	}
	b.Grow(n)
	for i, p := range parts {
		if i > 0 {
			b.WriteByte('/')
		}
		b.WriteString(url.PathEscape(p))
	}
	return b.String()
}

// The work that is left for the AS. What is under outboxPrefix wakes the outbox;
// what is under laterPrefix is not due for a lease, and nearly always gone by then.
const (
	outboxPrefix = "outbox/"
	laterPrefix  = "later/"
)

// outboxKey and laterKey sort by due time.
func outboxKey(due time.Time, id string) string { return dueKey(outboxPrefix, due, id) }

func laterKey(due time.Time, id string) string { return dueKey(laterPrefix, due, id) }

func dueKey(prefix string, due time.Time, id string) string {
	return fmt.Sprintf("%s%016x/%s", prefix, max(due.UnixNano(), 0), id)
}

func outboxDue(k string) time.Time {
	var nanos int64
	_, k, _ = strings.Cut(k, "/")
	if _, err := fmt.Sscanf(k, "%016x/", &nanos); err != nil {
		return time.Time{}
	}
	return time.Unix(0, nanos)
}

// alikeKey is under which a client_id in another spelling is found; empty when
// the id is its own folded form and is found by that.
func alikeKey(c *Client) string {
	folded := verify.Fold(c.ClientID)
	if folded == c.ClientID {
		return ""
	}
	return key("alike", c.Workspace, folded)
}

// Index names one way to find clients.
type Index string

const (
	BySoftware     Index = "software"     // software_id
	ByOrganisation Index = "organisation" // org_id
	BySubject      Index = "subject"      // the canonical DN (dn.Name.Canonical)
	ByCertificate  Index = "certificate"  // x5t#S256 of the certificate that registered
	ByTime         Index = "time"         // always the value "": all clients, oldest first
	ByApproval     Index = "approval"     // always the value "": the clients that await approval
)

// indexPrefix is where the entries of one value are. Values are hashed, because
// a DN may be longer than a key can be.
func indexPrefix(name Index, workspace, value string) string {
	if name == ByTime {
		return key("index", string(name), workspace) + "/"
	}
	sum := sha256.Sum256([]byte(value))
	return key("index", string(name), workspace, hex.EncodeToString(sum[:16])) + "/"
}

// indexKeys are all index entries of a client.
func indexKeys(c *Client) ([]string, error) {
	keys := []string{
		indexPrefix(BySoftware, c.Workspace, c.SoftwareID) + c.ID,
		indexPrefix(ByOrganisation, c.Workspace, c.OrgID) + c.ID,
		fmt.Sprintf("%s%016x-%s", indexPrefix(ByTime, c.Workspace, ""), c.IssuedAt, c.ID),
	}
	if c.Thumbprint != "" {
		keys = append(keys, indexPrefix(ByCertificate, c.Workspace, c.Thumbprint)+c.ID)
	}
	dn, err := c.DN()
	if err != nil {
		return nil, fmt.Errorf("registry: subject of registration %s: %w", c.ID, err)
	}
	if len(dn) > 0 {
		keys = append(keys, indexPrefix(BySubject, c.Workspace, dn.Canonical())+c.ID)
	}
	return keys, nil
}
