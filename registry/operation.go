package registry

import (
	"context"
	"errors"
	"time"
)

// operation is a registration, a change or a deletion in progress: what its first
// transaction writes, and what its last one needs of that.
type operation struct {
	r  *Registry
	ws Workspace
	// in is the request; empty where no TPP has sent one.
	in Registration
	// began is when the operation began, and so when its lease did.
	began time.Time
	// audit is its entry in the audit trail, but for the client.
	audit AuditEntry
	// client is the client as it is to be.
	client *Client
	// metadataDigest is Client.MetadataDigest of the request, document what is kept of it.
	metadataDigest string
	document       document
	// cost is how many bytes the operation writes, payer whose these are. 0 for what no
	// TPP asks for.
	cost  int64
	payer string
	// holds are the reservations of what it uses up.
	holds reservations
	// entry tells the outbox how to go on should the last transaction never come.
	entry work
	// revoke ends a registration token that the operation uses up; nil for none.
	revoke *work
	// token is a registration access token for the client; empty for none.
	token string
	// secret is a secret of the client's own; nil where it gets none.
	secret *clientSecret
	// answer is what the AS has made of the client.
	answer *Provisioned
}

// steps are those of an operation, one after the other. The table of the package says
// what a crash between two of them leaves.
type steps interface {
	// prepare makes whatever can fail before anything is written.
	prepare() error
	// reserve is the first transaction: it takes what the operation uses up, and leaves
	// the entry of the outbox. Nothing has begun where it fails, or ends the operation
	// with errNothingToDo.
	reserve(context.Context) error
	// call has the AS carry it out.
	call(context.Context) error
	// conclude is the last transaction. failed is the error of call: then what reserve has
	// taken is given back.
	conclude(ctx context.Context, failed error) error
}

// errNothingToDo ends an operation whose result is there already.
var errNothingToDo = errors.New("registry: nothing is left to do")

// run takes an operation through its steps. What has begun ends even when the caller's
// ctx ends meanwhile.
func run(ctx context.Context, o steps) error {
	if err := o.prepare(); err != nil {
		return err
	}
	if err := o.reserve(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Deadline)
	defer cancel()
	return o.conclude(ctx, o.call(ctx))
}

func (r *Registry) newOperation(ws Workspace, in Registration, change string) operation {
	return operation{r: r, ws: ws, in: in, began: r.now(), audit: AuditEntry{Change: change, Origin: in.Origin}}
}

// readRequest takes from the request what the transactions need.
func (o *operation) readRequest() (err error) {
	if o.metadataDigest, err = o.in.metadataDigest(); err != nil {
		return err
	}
	o.payer = payer(o.in)
	o.document, err = documentOf(o.in)
	return err
}

// entryAfterLease is an entry for the client, due when the lease ends.
func (o *operation) entryAfterLease(kind, id string) work {
	return work{key: laterKey(leaseEnd(o.began), id), Kind: kind, Workspace: o.ws.Name, Registration: o.client.ID, Org: o.client.Organisation(), Since: o.began.Unix()}
}

// putClient writes the client as the operation has made it, and that it has: the outbox
// has nothing to go on with any more.
func (o *operation) putClient(w Writer, c *Client, indexes []string) error {
	for _, k := range indexes {
		if err := w.Put(k, []byte{}); err != nil {
			return err
		}
	}
	return errors.Join(o.revoke.put(w), w.Delete(o.entry.key), putClient(w, c), o.r.putAudit(w, o.ws, o.audit, c), o.auditApproval(w, c))
}
