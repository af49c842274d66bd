package crash_test

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
)

// scenario is one place at which the gateway ends, and how it gets there.
type scenario struct {
	operation string
	// point is the crash point of the registry's sources; empty for one that only the
	// AS can see: the gateway is killed while the AS holds its request.
	point string
	// trouble befalls the AS's registration endpoint first.
	trouble *trouble
	// then is the point at which the gateway ends once more, while it recovers, and
	// meanwhile what befalls the AS then.
	then      string
	meanwhile *trouble
	// chosen and plain: the point is only reached with client_id_header, or without.
	chosen, plain bool
	// loses: an answer that named a new client is lost. Without client_id_header the
	// client stays at the AS, because plain RFC 7591 has no way to find it; nowhere else
	// may one stay.
	loses bool
}

// trouble are faults with a name.
type trouble struct {
	name   string
	faults []authserverprocess.Fault
}

func (s scenario) String() string {
	parts := []string{s.operation}
	if s.trouble != nil {
		parts = append(parts, s.trouble.name)
	}
	for _, point := range []string{s.point, s.then} {
		if point != "" {
			parts = append(parts, "at "+point)
		}
	}
	return strings.Join(parts, ", ")
}

// reached tells whether the scenario's points are reached in a variant.
func (s scenario) reached(v variant) bool { return !(s.chosen && !v.chooses || s.plain && v.chooses) }

// of are the same faults of one client alone: the outbox may be deleting another one, whose
// lease has ended meanwhile.
func (t *trouble) of(clientID string) *trouble {
	if t == nil {
		return nil
	}
	one := &trouble{name: t.name, faults: slices.Clone(t.faults)}
	for i := range one.faults {
		one.faults[i].PathContains = clientID
	}
	return one
}

var (
	// before drops what it has held: let go, it could be served before the AS notices
	// that the gateway's connection has ended.
	before = &trouble{"before the authorization server has it", []authserverprocess.Fault{{Hold: true, Drop: true}}}
	after  = &trouble{"before the authorization server has answered", []authserverprocess.Fault{{Hold: true, After: true}}}
	// refused is a no to the metadata, unanswered an answer that is lost, and lost again
	// where the gateway repeats the request.
	refused    = &trouble{"refused", []authserverprocess.Fault{{Status: http.StatusBadRequest, Body: `{"error":"invalid_client_metadata"}`}}}
	unanswered = &trouble{"unanswered", []authserverprocess.Fault{{After: true, Drop: true, Times: 2}}}
	// lostOnce is an answer that is had again.
	lostOnce = &trouble{"answer lost once", []authserverprocess.Fault{{After: true, Drop: true}}}
	// unknown is an AS that does not take the registration access token.
	unknown = &trouble{"token not taken", []authserverprocess.Fault{{Status: http.StatusUnauthorized}}}
	absent  = &trouble{"in maintenance", []authserverprocess.Fault{{Status: http.StatusServiceUnavailable}}}
	// otherwise are clients that come out wrong: the first one that the gateway asks
	// the AS to take back is not, or not even the second time.
	otherwise      = &trouble{"made otherwise, deleted at the second attempt", madeOtherwise(1)}
	otherwiseStays = &trouble{"made otherwise, not deleted", madeOtherwise(2)}
	// unrevoked keeps the token's revocation for after the restart: it may be done before the
	// gateway has ended.
	unrevoked    = &trouble{"revocation in maintenance", []authserverprocess.Fault{{Method: http.MethodPost, PathContains: "revo", Status: http.StatusServiceUnavailable}}}
	absentForPut = &trouble{"", []authserverprocess.Fault{{Method: http.MethodPut, Status: http.StatusServiceUnavailable}}}
)

func madeOtherwise(kept int) []authserverprocess.Fault {
	return []authserverprocess.Fault{
		{Method: http.MethodPost, After: true, Set: map[string]any{"token_endpoint_auth_method": "none"}},
		{Method: http.MethodDelete, Status: http.StatusServiceUnavailable, Times: kept},
	}
}

// storeCommitted is between a commit and HEAD, which says what was committed last.
const storeCommitted = "store: committed"

// scenarios are every crash point of the sources, and the AS's side of each call.
var scenarios = []scenario{
	{operation: "register", point: "register: accepted"},
	{operation: "register", point: "register: begun"},
	{operation: "register", point: storeCommitted},
	// The first commit of a start: it binds the store to its keyset.
	{operation: "register", point: "register: begun", then: storeCommitted},
	{operation: "register", trouble: before},
	{operation: "register", trouble: after, loses: true},
	{operation: "register", point: "register: answered", loses: true},
	{operation: "register", point: "register: active"},
	{operation: "register", point: "register: refused", trouble: refused},
	{operation: "register", point: "register: forgotten", trouble: refused},
	{operation: "register", point: "register: lost", trouble: unanswered, chosen: true},
	{operation: "register", point: "register: refused", trouble: unanswered, plain: true, loses: true},
	{operation: "register", point: "disown: begun", trouble: otherwise, plain: true, loses: true},
	{operation: "register", point: "disown: deleted", trouble: otherwise, plain: true},
	{operation: "register", point: "disown: ended", trouble: otherwise, plain: true},
	{operation: "register", point: "disown: ended", trouble: otherwiseStays, plain: true},
	{operation: "register", point: "register: answered", then: "undo: begun", loses: true},
	{operation: "register", point: "register: answered", then: "undo: reattached", chosen: true},
	{operation: "register", point: "register: answered", then: "undo: deleted", chosen: true},
	{operation: "register", point: "register: answered", then: "outbox: done", loses: true},
	{operation: "register", point: "register: active", then: "revoke: answered", trouble: unrevoked},
	{operation: "update", point: "update: accepted"},
	{operation: "update", point: "update: begun"},
	{operation: "update", trouble: before},
	{operation: "update", trouble: after},
	{operation: "update", point: "update: answered"},
	{operation: "update", point: "update: finished"},
	{operation: "update", point: "update: refused", trouble: refused},
	{operation: "update", point: "update: released", trouble: refused},
	{operation: "update", point: "update: released", trouble: unanswered},
	{operation: "update", point: "update: reattached", trouble: lostOnce, chosen: true},
	{operation: "update", point: "update: answered", then: "restore: begun"},
	{operation: "update", point: "update: answered", then: "restore: answered"},
	{operation: "update", point: "update: answered", then: "outbox: put off", meanwhile: absentForPut},
	{operation: "update", point: "update: answered", then: "outbox: given up", plain: true},
	{operation: "delete", point: "delete: accepted"},
	{operation: "delete", point: "delete: begun"},
	{operation: "delete", point: "delete: revoked"},
	{operation: "delete", trouble: before},
	{operation: "delete", trouble: after},
	{operation: "delete", point: "delete: answered"},
	{operation: "delete", point: "delete: finished"},
	{operation: "delete", point: "delete: put off", trouble: absent},
	{operation: "delete", point: "delete: reattached", trouble: unknown, chosen: true},
	{operation: "delete", point: "delete: reattached", trouble: lostOnce, chosen: true},
	{operation: "remove", point: "delete: begun", trouble: unknown},
	{operation: "remove", point: "delete: answered", trouble: unknown},
	// Elsewhere the AS keeps a client whose token it does not take, and operators see that.
	{operation: "remove", point: "delete: finished", trouble: unknown, chosen: true},
	{operation: "remove", point: "delete: finished", plain: true},
}
