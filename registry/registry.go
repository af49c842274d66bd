// Package registry keeps the clients: who is registered, with what, and where
// the bank's authorization server (AS) stands with it.
//
// A client lives in two systems of record with a network between them, and no
// transaction holds both. So every change is two transactions of the store with a
// call of the AS between them, and the first leaves an outbox entry that says how to
// go on should the second never come. These are the steps of an operation: prepare,
// reserve (the first transaction), call and conclude (the second). Who makes a
// transition, and what a crash leaves that comes after it and before the next line:
//
//	POST    Register
//	        nothing -> pending       record, request; token and jti reserved; an undo entry, due when the lease ends;
//	                                 the software's record counts the client from here until it is nothing or deleting
//	          crash: the AS knows nothing. The undo entry comes due, finds nothing there, and releases everything.
//	        the AS creates the client
//	          crash: it has one that was told to nobody. The undo entry asks for it once more, by the client_id chosen
//	          here, and deletes it. Where the AS chooses, nobody can find it: Discrepancy AnswerLost.
//	        pending -> active        indexes; token and jti used up; the token's revocation queued; no undo entry any more
//	          crash: the client is whole, and the TPP has no answer. Its repetition is what Reregister says.
//	        pending -> nothing       Register, when the AS refuses or does nothing: everything released
//	        pending -> deleting      Register, when the AS made another client than it was asked to and keeps it
//	        pending -> nothing, or   Register, when a newer software statement became final meanwhile: the AS deletes
//	        pending -> deleting      the client at once, or is asked to until it has
//
//	PUT     Update, Renew, RefreshKeys, RotateSecret, and Register in ReregisterUpdate
//	        active (a change begins) the client is leased to the change; jti reserved; a restore entry, due with the lease's end
//	          crash: the old metadata count. The restore entry tells the AS so again.
//	        the AS takes the new metadata
//	          crash: the same. A registration access token that it rotated meanwhile is lost: with a client_id chosen
//	          here another is had by asking for the client once more, otherwise: Discrepancy Detached.
//	        active (the change ends) new metadata, credentials, request and indexes; jti used up; no restore entry any more
//	          crash: done, and the TPP has no answer.
//	        active (released)        Update, when the AS refuses: as before, but for credentials that it rotated; when a
//	                                 newer statement became final meanwhile too, and then a restore entry is due at once
//
//	DELETE  Delete
//	        active -> deleting       from here on the client can do nothing; a delete entry with the token that asked
//	          crash: the outbox goes on with what follows.
//	        the AS revokes the token, and then deletes the client
//	          crash: it is asked again; that the client is gone is no error.
//	        deleting -> deleted      record, request and indexes gone; the client_id stays taken. 204 is answered
//	                                 with the client deleting at the latest
//
//	later   the outbox (runOutbox), one runner for a store, from Open to Close
//	        pending -> deleting      undo takes the record out of the hands of a holder that is still at work
//	        deleting -> nothing      undo, when the AS has deleted it or never had it
//	        active -> active         restore, with a lease of its own
//	        deleting -> deleted      delete
//	        an entry is put off      with growing pauses and jitter, when the AS cannot be reached
//	        an entry is given up     when the AS refuses a revocation or metadata for good
//
// A client that awaits approval goes this way as an active one does, see approval.go.
//
// Suspension is beside all that: keys of their own, which changes and the guard read.
//
// What a TPP or an operator may take for done, the transaction that makes it so records in
// the audit trail (AuditEntry): pending -> active, active (the change ends), active ->
// deleting, active -> active, a POST that repeats another one, and suspensions.
//
// How many registrations and updates are between their first and last line is bounded
// (admission), so that these lines do not wait for each other until time is up. Of one
// organisation it is an eighth of that.
//
// Leases end by themselves, and no earlier than the request can have reached the AS.
// The crash tests (integration/crash) end the process at every line of this table.
package registry

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

// The lease outlives whatever its holder may still do: asking the AS, taking back what
// it made, and writing the end of each. Otherwise this does not compile.
const _ = uint64(lease - 2*(Deadline+concludeWithin) - 1)

// skew is how long a used token or jti is remembered after its end.
const skew = 2 * time.Minute

// Sealer encrypts secrets before they are stored. context binds a secret to its
// place: what was sealed for one record opens in no other.
type Sealer interface {
	Seal(secret []byte, context string) ([]byte, error)
	Open(sealed []byte, context string) ([]byte, error)
}

// Options of a Registry.
type Options struct {
	// Store is the engine. Required; the Registry closes it.
	Store Store
	// Sealer is required.
	Sealer Sealer
	// Restored is the label of a restore that the operator declares, see DeclareRestored.
	// Default: none.
	Restored string
	// KeysetLost gives the store another Sealer where its own is lost for good: the
	// BindingID of now. What the lost one has sealed cannot be read. Default: none.
	KeysetLost string
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// Logger. Default: none.
	Logger *slog.Logger
}

// Registry is the gateway's system of record. All methods may be called concurrently.
type Registry struct {
	store  Store
	roomy  Roomy // nil for a store that knows no disk
	sealer *currentSealer
	now    func() time.Time
	log    *slog.Logger

	epoch        atomic.Pointer[Epoch]
	confirming   chan struct{} // holds one while ConfirmEpoch runs
	generations  *generations
	backlog      *backlogCounts // nil for a store that is not Exclusive
	clients      *clientCounts  // nil for a store that is not Exclusive
	explanations *explanations
	admission    admission
	atWork       outboxClaims
	kept         keptSets
	uses         *useMarks
	usesFrom     atomic.Int64 // see UsesFrom
	// counts are those of software that has no record yet, under way.
	counts singleflight.Group

	mu          sync.Mutex
	attachments map[string][]*attachment

	wake chan struct{}
	// running ends with stop, at Close.
	running context.Context
	stop    context.CancelFunc
	done    chan struct{}
	// counted is closed when all clients are counted, or nobody counts them any more.
	counted chan struct{}
	// resealing wakes runReseal, resealEnded is closed when that has ended.
	resealing, resealEnded chan struct{}
	// usesEnded is closed when the marks of used clients are written.
	usesEnded chan struct{}
	// lookNow wakes runDaily, dailyEnded is closed when that has ended.
	lookNow, dailyEnded chan struct{}
	passes              sync.Map // of TrustPass as stored, by workspace
	// backingUp, exporting and importing are held while that is done.
	backingUp, exporting, importing sync.Mutex
	reconciling                     reconciling
}

// Open starts a Registry and its outbox. It does not end with ctx but with Close. Before
// it returns the store is bound to the Sealer, and what was lost or restored has an Epoch.
//
// Errors: ErrForeignKeyset, and those of the store.
func Open(ctx context.Context, o Options) (*Registry, error) {
	generations := newGenerations(o.Store)
	backlog, err := newBacklogCounts(ctx, o.Store)
	if err != nil {
		return nil, err
	}
	clients := newClientCounts(o.Store)
	r := &Registry{
		store: counting{o.Store, generations, backlog, clients}, generations: generations, backlog: backlog, clients: clients, sealer: newCurrentSealer(o.Sealer), now: o.Now, log: o.Logger,
		attachments: map[string][]*attachment{}, wake: make(chan struct{}, 1), done: make(chan struct{}), counted: make(chan struct{}), explanations: newExplanations(),
		admission: admission{workspaces: map[string]*places{}}, confirming: make(chan struct{}, 1),
		resealing: make(chan struct{}, 1), resealEnded: make(chan struct{}), uses: newUseMarks(), usesEnded: make(chan struct{}), lookNow: make(chan struct{}, 1), dailyEnded: make(chan struct{}),
	}
	r.roomy, _ = o.Store.(Roomy)
	if r.now == nil {
		r.now = time.Now
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if err := r.settle(ctx, o); err != nil {
		return nil, err
	}
	ctx, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	r.running = ctx
	changed, err := r.store.Watch(ctx, outboxPrefix)
	if err != nil {
		r.stop()
		return nil, err
	}
	go r.runOutbox(ctx, changed)
	go r.runExplanations(ctx)
	go r.runClientCounts(ctx)
	go r.runReseal(ctx)
	go r.runUses(ctx)
	go r.runDaily(ctx)
	return r, nil
}

// Close stops the outbox, a backup that is being made and reconciliations, and closes the
// store. What the outbox had not finished goes on after the next Open. No other method may be called after it.
func (r *Registry) Close() error {
	r.stop()
	r.awaitBackground()
	return r.store.Close()
}

func (r *Registry) nudge() {
	select {
	case r.wake <- struct{}{}:
	default: // a signal is waiting already
	}
}

// transactDetached writes what follows from a call of the AS, also when the time for the
// AS is over or the outbox is about to end.
func (r *Registry) transactDetached(ctx context.Context, f func(Writer) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), concludeWithin)
	defer cancel()
	return r.transact(ctx, f)
}

// getter is a Reader or a Writer.
type getter interface {
	Get(key string) ([]byte, error)
}

// get reads a key that may be absent.
func get(r getter, key string) ([]byte, error) {
	v, err := r.Get(key)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return v, err
}
